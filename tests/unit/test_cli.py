"""The command line: exit statuses, and the one line that a person reads."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from console import resend, running, text, work
from console.command import main
from console.plan import command as plan
from console.state_lock import alone
from sandbox import processes
from tests.unit.schemas import read_json
from workers.errors import OutageError, PassingError, RunError, StoppedError
from workers.resend import Resent
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
NEEDED = ["--bucket", "photos", "--queue-url", "http://queue.test/1/index"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], int]:
    """Runs `cartext text`, whose worker ends as told."""

    def run(error: BaseException | None) -> int:
        def work(_: Settings) -> None:
            if error:
                raise error

        monkeypatch.setattr(running.worker_log, "configure", lambda *_: None)
        monkeypatch.setattr(text, "run", work)
        return main(["text", *NEEDED])

    return run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 0),
        (StoppedError("asked to"), 75),
        (OutageError("no answer"), 75),
        (PassingError("a bad minute"), 75),
        (RunError("no such bucket"), 78),
        (ZeroDivisionError(), 75),
    ],
)
def test_exit_status(
    command: Callable[[BaseException | None], int], error: BaseException | None, status: int
) -> None:
    assert command(error) == status


def test_a_setting_that_proves_wrong_is_named_as_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: Settings) -> None:
        raise RunError("there is no bucket 'photos'; check CARTEXT_BUCKET, and CARTEXT_QUEUE_URL")

    monkeypatch.setenv("CARTEXT_QUEUE_URL", NEEDED[-1])
    monkeypatch.setattr(running.worker_log, "configure", lambda *_: None)
    monkeypatch.setattr(plan, "run", work)
    assert main(["plan", "--bucket=photos"]) == 78
    said = capsys.readouterr().err
    assert said.endswith("there is no bucket 'photos'; check --bucket, and CARTEXT_QUEUE_URL\n")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"]])
def test_the_help_names_both_commands_and_every_exit_status(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for word in ("label", "text", "--queue-url", "75", "78", "CARTEXT_"):
        assert word in said


def test_it_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"cartext {project['version']}\n"


@pytest.mark.parametrize("arguments", [[], ["lable"], ["--bucket"], ["--completion"]])
def test_without_a_command_it_shows_the_help_and_fails(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 78
    assert "commands:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["label", "text"])
def test_the_help_of_a_command_tells_every_setting(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"usage: cartext {name}" in said
    for field, info in Settings.model_fields.items():
        assert f"--{field.replace('_', '-')} " in said
        assert info.description
        assert info.description in said


def test_an_unknown_flag_is_not_overlooked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["label", *NEEDED, "--in-fligt", "3"])
    assert ended.value.code == 78
    assert "--in-fligt" in capsys.readouterr().err


def test_a_second_worker_of_a_kind_in_one_folder_is_refused(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    held = os.open(state / "text.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(RunError, match=r"another text worker .* --state-dir"):
        text.run(make_settings(state_dir=state))
    os.close(held)
    with alone(state, "text"):
        pass


def test_a_disk_that_knows_no_locks_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(RunError, match=r"cannot be locked: No locks available; .*--state-dir"),
        alone(tmp_path, "text"),
    ):
        pass


def test_what_would_block_in_a_worker_is_no_other_worker(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), alone(tmp_path, "text"):
        raise BlockingIOError


def test_a_state_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"cannot use the state folder .*Not a directory"),
        alone(tmp_path / "file" / "state", "text"),
    ):
        pass


@pytest.mark.parametrize(
    ("flags", "text"), [((), "sent again: 1,200 indexes, not the end\n"), (("--json",), None)]
)
def test_what_was_sent_again_is_told(
    flags: tuple[str, ...],
    text: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(resend, "resend", lambda *_: Resent(1200, end=False))
    monkeypatch.setattr(resend, "make_services", lambda *_: None)
    monkeypatch.setattr(work, "allow_files", lambda _: None)
    assert main(["resend", "--run", "r", "--queue-url", NEEDED[-1], *flags]) == 0
    said = capsys.readouterr().out
    if text:
        assert said == text
    else:
        told = {"schema": 1, "run": "r", "indexes": 1200, "end": False}
        assert read_json("resend", said) == told


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("label --bucket=photos 2>&-", 78),
        ("status --state-dir=none 2>&-", 78),
        ("answers --state-dir=s --import=empty <&-", 0),
        ("answers --state-dir=s --import=empty >&-", 0),
        ("answers --state-dir=s --import=- <&-", 0),
    ],
)
def test_a_standard_stream_may_be_closed(command: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    shell = ["sh", "-c", f"{sys.executable} -m console {command}"]
    done = subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert (done.stdout == "0 answers imported, of 0 in empty\n") == ("=empty <&-" in command)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    process = processes.start("text", {"PATH": os.environ["PATH"]}, "--bucket", "photos", **pipes)
    assert process.communicate(timeout=60) == (
        b"",
        b"cartext text: queue_url is missing; set --queue-url or CARTEXT_QUEUE_URL\n",
    )
    assert process.returncode == 78
