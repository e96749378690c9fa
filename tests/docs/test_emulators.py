"""The page for users of other emulators, typed line by line."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.aws.rekognition.__main__ import main
from tests.contract.drawn import SAMPLES
from tests.contract.ministack import BINARY as MINISTACK

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/emulators.md"
PATIENCE_SECONDS = 120


def blocks(heading: str) -> list[str]:
    """What is to be pasted below a heading, before the next one."""
    text = PAGE.read_text(encoding="utf-8")
    below = re.split(r"^##+ ", text.partition(f"{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)
    return re.findall(r"^```sh\n(.*?)^```", below[0], re.DOTALL | re.MULTILINE)


def free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]


class Terminals:
    """Where a person would type what the page says; ports and folders are the test's own."""

    def __init__(self, folder: Path) -> None:
        self.ports = dict(zip(("4566", "4567"), free_ports(), strict=True))
        self.folder = folder
        programs = [Path(sys.executable).parent, MINISTACK.parent]
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CARTEXT_"))}
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        self.environment = {**own, "PATH": path, "HOME": str(folder)}

    def script(self, block: str) -> str:
        """The lines as they are to be typed here: nothing is installed."""
        for port, free in self.ports.items():
            block = block.replace(port, str(free))
        block = re.sub(r"pipx run (--spec \S+ )?", "", block)
        return block.replace("state/", f"{self.folder}/state/")

    @contextmanager
    def at_work(self, block: str, port: str) -> Iterator[None]:
        """A terminal whose last line serves at this port of the page, as soon as it does."""
        *before, last = self.script(block).strip().splitlines()
        if last.startswith("make "):
            last = dry_run(last)
        process = subprocess.Popen(
            ["bash", "-ec", "\n".join([*before, f"exec env {last}"])],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            self._wait_for(process, self.ports[port])
            yield
        finally:
            process.terminate()
            process.wait()

    def _wait_for(self, process: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert process.poll() is None, f"{process.args} has ended"
            assert time.monotonic() < until, f"{process.args} does not answer"
            time.sleep(0.2)


def dry_run(line: str) -> str:
    """What this `make` would do at last, without what it would install before."""
    words = ["make", "--no-print-directory", "--dry-run", *line.split()[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}").close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def pictures(tmp_path: Path) -> None:
    (tmp_path / "Pictures").mkdir()
    for sample in SAMPLES.values():
        (tmp_path / "Pictures" / sample.index).write_bytes(sample.data)


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("emulator", ["moto server", "ministack"])
def test_the_lines_of_the_page(tmp_path: Path, emulator: str) -> None:
    if not shutil.which("aws"):
        pytest.skip("the command aws is not installed")
    if emulator == "ministack" and not MINISTACK.exists():
        pytest.skip("ministack is not in .venv-ministack, which `make test` fills")
    terminals = Terminals(tmp_path)
    (serving,) = blocks(f"### {emulator}")
    second, *third = blocks("## Who asks")
    with terminals.at_work(serving, "4566"), terminals.at_work(second, "4567"):
        done = subprocess.run(
            ["bash", "-ec", terminals.script("\n".join(third))],
            cwd=ROOT,
            env=terminals.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Car\t9\d\.", done.stdout, re.MULTILINE)
    truths = {index: sample.truth for index, sample in SAMPLES.items()}
    rows = [f"{i}: {' | '.join(t.text)}" for i, t in truths.items() if t.car and t.text]
    assert done.stdout.splitlines()[-len(rows) :] == rows


def test_no_system_forbids_what_the_page_installs() -> None:
    """Debian, Ubuntu and Homebrew refuse pip outside of virtual environments (PEP 668)."""
    assert not re.search(r"^ *pip3? install", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_flags_of_the_page_are_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    known = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
    named = set(re.findall(r"`(--[a-z0-9-]+)", PAGE.read_text(encoding="utf-8")))
    assert "--json" in named
    assert named <= known
