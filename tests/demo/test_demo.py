"""The demo and the sandbox as a person starts them: as commands."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import boto3
import pytest
from rich.console import Console

import sandbox.__main__ as sandbox
import sandbox.demo.__main__ as demo
from sandbox.demo.board import Board, Verdict
from sandbox.demo.folder import MARKER, demo_folder
from sandbox.errors import SandboxError
from sandbox.pictures import find_files, read_files
from sandbox.scenes import sample_images
from sandbox.signals import SIGNALS, leave_on_signals

ROOT = Path(__file__).resolve().parent.parent.parent
# what a person may have set for other purposes, and what must not matter here
UNRELATED = {
    "AWS_PROFILE": "nobody-has-it",
    "AWS_SESSION_TOKEN": "expired",
    "CARTEXT_BUCKET": "other",
    "CARTEXT_IN_FLIGHT": "none",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "no_proxy": "example.com",
}
ESCAPE = "\x1b"
SECONDS = 120


@dataclass
class Command:
    """A command of this project that runs, and all that it has printed so far."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    terminal: bool = False
    printed: str = ""

    def __post_init__(self) -> None:
        self._mark = uuid4().hex
        here, there = pty.openpty() if self.terminal else os.pipe()
        if self.terminal:
            fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        own = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            cwd=ROOT,
            env={**own, "TERM": "xterm", **self.environment, "DEMO_TEST": self._mark},
            stdin=subprocess.DEVNULL,
            stdout=there,
            stderr=there,
            process_group=0,
        )
        os.close(there)
        self._output = here

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads on until what is printed has it."""
        while not (found := re.search(pattern, self.printed)):
            assert self._read(), f"{pattern!r} did not come:\n{self.printed}"
        return found

    def end(self) -> int:
        """Reads to the end and returns the exit status."""
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        try:
            data = os.read(self._output, 65536)
        except OSError:  # how a terminal ends
            return False
        self.printed += data.decode(errors="replace")
        return bool(data)

    def relatives(self) -> list[int]:
        """Every living process that was started by it, itself included."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if f"DEMO_TEST={self._mark}".encode() in environment:
                found.append(int(folder.name))
        return found

    def close(self) -> None:
        for number in self.relatives():
            os.kill(number, signal.SIGKILL)
        self.process.wait(SECONDS)
        os.close(self._output)


Run = Callable[..., Command]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Starts `python -m` with some arguments; whatever is left is ended after the tests."""
    commands: list[Command] = []

    def start(*arguments: object, terminal: bool = False, **environment: str) -> Command:
        command = Command([str(argument) for argument in arguments], environment, terminal)
        commands.append(command)
        return command

    yield start
    for command in commands:
        command.close()


@pytest.fixture
def signals() -> Iterator[None]:
    """Puts the handlers back that a command sets in this process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ignore(name: str, reason: str) -> None:
    """Of what is left out."""


def nothing_is_left_of(command: Command) -> bool:
    port = int(command.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
    with socket.socket() as client:
        return not command.relatives() and client.connect_ex(("127.0.0.1", port)) != 0


# --- the demo with drawn scenes ----------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, Path]:
    """A whole demo, not on a terminal, with a person's other settings around it."""
    folder = tmp_path_factory.mktemp("drawn") / "demo"
    command = run("sandbox.demo", "--folder", folder, **UNRELATED)
    assert command.end() == 0, command.printed
    return command, folder


def expected_output() -> str:
    return "".join(
        f"{sample.index}: {' | '.join(sample.truth.text)}\n"
        for sample in sample_images(10)
        if sample.truth.car and sample.truth.text
    )


def test_drawn_scenes_come_out_as_drawn(drawn: tuple[Command, Path]) -> None:
    command, folder = drawn
    assert (folder / "text/demo/output.txt").read_text() == expected_output()
    for line in expected_output().splitlines():
        assert f"\n  {line}\n" in command.printed
    assert "All as drawn: 10 of 10" in command.printed
    assert {path.name for path in (folder / "images").iterdir()} == {
        f"{number}.jpg" for number in range(1, 11)
    }
    for path in re.findall(r"^  (\S+)  ", command.printed.partition("It took")[2], re.M):
        assert (ROOT / path).exists()


def test_b_reads_while_a_still_looks(drawn: tuple[Command, Path]) -> None:
    _, folder = drawn

    def said(role: str, event: str) -> list[tuple[datetime, timedelta]]:
        """When a worker said so, and how long it had worked on it."""
        lines = [json.loads(line) for line in (folder / f"{role}.log").read_text().splitlines()]
        return [
            (datetime.fromisoformat(line["time"]), timedelta(milliseconds=line.get("ms", 0)))
            for line in lines
            if line["event"] == event
        ]

    ((a_was_done, _),) = said("label", "end")
    assert min(time - took for time, took in said("text", "read")) < a_was_done


def test_without_a_terminal_the_output_is_plain(drawn: tuple[Command, Path]) -> None:
    printed = drawn[0].printed
    assert ESCAPE not in printed
    assert "\r" not in printed
    assert len(printed.splitlines()) < 50
    assert re.search(r"s  A  1\.jpg  car \d\d\.\d %\n", printed)
    assert re.search(r"s  A  2\.jpg  no car\n", printed)
    assert re.search(r"s  B  3\.jpg  no text\n", printed)


def test_nothing_runs_after_the_end(drawn: tuple[Command, Path]) -> None:
    assert nothing_is_left_of(drawn[0])


def test_on_a_terminal_both_workers_are_shown_live(run: Run, tmp_path: Path) -> None:
    command = run("sandbox.demo", "--scenes", 3, "--folder", tmp_path / "demo", terminal=True)
    assert command.end() == 0, command.printed
    hidden, shown = f"{ESCAPE}[?25l", f"{ESCAPE}[?25h"
    live, after = command.printed.partition(hidden)[2].rsplit(shown, 1)
    assert "A · finds the cars" in live
    assert "B · reads their text" in live
    assert "3 of 3 · 2 cars" in live
    assert "2 of 2 · 1 with text" in live
    assert "output.txt: 1 image with a car and text" in after


def test_one_long_name_takes_no_room_from_the_others() -> None:
    names = ["1.jpg", "2.jpg", "a photo that somebody has taken in Italy.jpg"]
    text = "RNN393 | TAXI"
    board = Board(3, read={name: Verdict(name, text, True) for name in names})
    console = Console(width=80, height=20, file=StringIO())
    console.print(board)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count(text) == 3
    assert "…n Italy.jpg" in printed


@pytest.mark.parametrize("width", range(1, 24))
def test_a_terminal_may_be_as_narrow_as_it_likes(width: int) -> None:
    board = Board(2, read={"1.jpg": Verdict("1.jpg", "RNN393 | TAXI", True)})
    console = Console(width=width, height=20, file=StringIO())
    console.print(board)


def test_the_board_shows_what_is_not_sure_enough_and_counts_the_copies() -> None:
    board = Board(5)
    labelled, near = {"index": "1.jpg", "label": "Car", "confidence": 97.2}, "Car 87 %, below 90"
    for event, fields in (
        ("labelled", labelled),
        ("not labelled", {"index": "2.jpg", "near": near}),
        ("not labelled", {"index": "3.jpg", "near": None}),
        ("known", {"images": 2, "labelled": 1}),
    ):
        board.hear("label", json.dumps({"event": event, "ms": 1, **fields}))
    assert [verdict.said for verdict in board.seen.values()] == [
        *("car 97.2 %", "car 87 %, below 90", "no car")
    ]
    assert (board.counts("label"), board.counts("text")) == (
        "5 of 5 · 2 cars",
        "0 of 2 · 0 with text",
    )


# --- the demo with a person's own folder -------------------------------------------------------


def test_an_empty_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty/sub").mkdir(parents=True)
    command = run("sandbox.demo", "--images", tmp_path / "empty", "--folder", tmp_path / "demo")
    assert command.end() == 78
    refusal = f"demo: the folder {tmp_path / 'empty'} has no JPEG or PNG file: put photos into it\n"
    assert command.printed == refusal


@pytest.mark.parametrize(
    ("folder", "reason"), [("missing", "does not exist"), ("file", "is not a folder")]
)
def test_what_is_no_folder_is_refused(tmp_path: Path, folder: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match=reason):
        find_files(tmp_path / folder, ignore)


def test_what_cannot_be_uploaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("10.jpg", "2.jpg", "locked.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "no suffix").write_bytes(next(sample_images(1)).data)
    (tmp_path / "notes.txt").write_text("milk, bread")
    (tmp_path / "empty").touch()
    for number in (1, 2, 3, 10, 11):
        (tmp_path / f"IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/again").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    left_out: dict[str, str] = {}
    files = find_files(tmp_path, left_out.__setitem__)
    assert [file.key for file in files] == ["2.jpg", "10.jpg", "locked.jpg", "no suffix"]
    heic = "HEIC, which Rekognition does not read; convert it to JPEG"
    assert left_out == {
        "dangling.jpg, sub/again": "a symbolic link; copy what it points at into the folder",
        "IMG_1.HEIC, IMG_2.HEIC, IMG_3.HEIC and 2 more": heic,
        "empty, notes.txt": "neither JPEG nor PNG",
        "pipe": "not a regular file",
        "caf\ufffd.jpg": "its name is not UTF-8",
    }

    def read_bytes(path: Path) -> bytes:
        if path.name == "locked.jpg":
            raise PermissionError(13, "Permission denied")
        return b"x"

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    read = [key for key, _ in read_files(files, left_out.__setitem__)]
    assert read == ["2.jpg", "10.jpg", "no suffix"]
    assert left_out["locked.jpg"] == "cannot be read (Permission denied)"


def test_a_folder_of_nothing_but_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("nothing")
    with pytest.raises(SandboxError, match="no JPEG or PNG file"):
        find_files(tmp_path, ignore)


def test_a_folder_that_memory_has_no_room_for_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "1.jpg").open("wb") as sparse:
        sparse.truncate(1 << 42)
    with pytest.raises(SandboxError, match=r"holds 4\.4 TB of images, and the embedded S3 keeps"):
        find_files(tmp_path, ignore)


@pytest.mark.usefixtures("signals")
def test_a_folder_with_other_things_is_not_cleared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert demo.main(["--folder", str(tmp_path)]) == 78
    assert "holds something else: give another --folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


# --- the demo's own folder ---------------------------------------------------------------------


def paths_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture
def used(drawn: tuple[Command, Path], tmp_path: Path) -> Path:
    """A folder in which there has been a demo."""
    return Path(shutil.copytree(drawn[1], tmp_path / "demo"))


def test_what_a_demo_has_made_is_cleared_and_nothing_else(used: Path) -> None:
    own = {"photos/1.jpg", "notes.txt", "images/cat.jpg", "images/12.jpg", "text/demo/mine.txt"}
    for name in own:
        (used / name).parent.mkdir(exist_ok=True)
        (used / name).write_text("years of work")
    with demo_folder(used) as folder:
        folder.clear()
    left = {path for path in paths_in(used) if (used / path).is_file()}
    assert left == {MARKER, *own}
    assert not (used / "label").exists()


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ("photoz", "does not exist"),
        ("empty", "has no JPEG or PNG file"),
        ("demo/images", r"images/1\.jpg is of an earlier demo"),
        ("demo/text", "has no JPEG or PNG file"),
        ("demo", "is of an earlier demo"),
        (".", "is of an earlier demo"),
    ],
)
def test_without_pictures_to_show_nothing_is_cleared(
    used: Path, capsys: pytest.CaptureFixture[str], images: str, reason: str
) -> None:
    (used.parent / "empty").mkdir()
    before = paths_in(used)
    assert demo.main(["--images", str(used.parent / images), "--folder", str(used)]) == 78
    assert re.search(reason, capsys.readouterr().err)
    assert paths_in(used) == before


@pytest.mark.usefixtures("signals")
def test_pictures_that_nobody_may_read_clear_nothing(
    used: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (used / "photos").mkdir()
    (used / "photos/locked.jpg").write_bytes(b"x")
    before = paths_in(used)
    monkeypatch.setattr("sandbox.demo.story.read_files", lambda *_: iter(()))
    assert demo.main(["--images", str(used / "photos"), "--folder", str(used)]) == 78
    assert "none of the files can be read" in capsys.readouterr().err
    assert paths_in(used) == before


def test_own_pictures_with_odd_names_below_the_demos_folder_are_shown_and_stay(
    run: Run, used: Path
) -> None:
    photos = used / "photos"
    (photos / "Straße 7").mkdir(parents=True)
    samples = {sample.index: sample for sample in sample_images(4)}
    keys = {"my car #1.jpg": "1.jpg", "Straße 7/été 🚗 [red].JPG": "3.jpg", "sign%20+.png": "4.jpg"}
    for key, index in keys.items():
        (photos / key).write_bytes(samples[index].data)
    (photos / "notes.jpg").write_text("milk, bread")
    (photos / "link.jpg").symlink_to("my car #1.jpg")
    command = run("sandbox.demo", "--images", photos, "--folder", used)
    assert command.end() == 0, command.printed
    output = (used / "text/demo/output.txt").read_text()
    assert output == f"my car #1.jpg: {' | '.join(samples['1.jpg'].truth.text)}\n"
    assert "Left out link.jpg: a symbolic link" in command.printed
    assert "A  Straße 7/été 🚗 [red].JPG  car" in command.printed
    assert "A  sign%20+.png  no car" in command.printed
    assert "Could not look at notes.jpg: " in command.printed
    assert "drawn" not in command.printed
    assert nothing_is_left_of(command)
    for key, index in keys.items():
        assert (photos / key).read_bytes() == samples[index].data
    assert not (used / "images").exists()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system with so much room, or a skip with the reason."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    disk = tmp_path / "small"
    disk.mkdir()
    size = f"size={request.param}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(
    ("small_disk", "full"),
    [
        ("100k", r"demo: cannot write \S+/images/\d+\.jpg: No space left on device \("),
        # whoever writes first, a worker into its ledger or the demo into a worker's log
        (
            "700k",
            r"demo: (cannot write \S+/(label|text)\.log: No space left on device \("
            r"|[AB], the \w+ worker, ended with status 78: the ledger \S+ cannot be used \()",
        ),
    ],
    ids=["images", "ledger or log"],
    indirect=["small_disk"],
)
def test_a_full_disk_ends_the_demo_with_one_line(run: Run, small_disk: Path, full: str) -> None:
    command = run("sandbox.demo", "--folder", small_disk / "demo")
    assert command.end() in {1, 78}, command.printed
    assert re.search(rf"^{full}.*\n\Z", command.printed, re.MULTILINE)
    assert "Traceback" not in command.printed
    assert nothing_is_left_of(command)


# --- the demo, stopped -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to_the_group", "terminal"), [(True, False), (False, True)], ids=["group", "alone, NO_COLOR"]
)
def test_ctrl_c_leaves_nothing_behind(
    run: Run, tmp_path: Path, to_the_group: bool, terminal: bool
) -> None:
    environment = {"NO_COLOR": "1"} if terminal else {}
    command = run("sandbox.demo", "--folder", tmp_path / "demo", terminal=terminal, **environment)
    command.wait_for(r"s  A  \S+  (no )?car")
    assert len(command.relatives()) == 3
    send = os.killpg if to_the_group else os.kill
    send(command.process.pid, signal.SIGINT)
    assert command.end() == 130
    assert command.printed.endswith(("nothing of it runs any more.\n", "runs any more.\r\n"))
    assert "Traceback" not in command.printed
    assert ESCAPE not in command.printed
    assert nothing_is_left_of(command)


def test_ctrl_c_while_it_is_imported_is_as_quiet(run: Run, tmp_path: Path) -> None:
    command = run("sandbox.demo", "--folder", tmp_path / "demo")
    process = Path("/proc") / str(command.process.pid)
    while not caught(process) >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.001)
    # what takes the seconds has not begun
    assert "numpy" not in (process / "maps").read_text()
    command.process.send_signal(signal.SIGINT)
    assert command.end() == 130
    assert command.printed == "Stopped; nothing of it runs any more.\n"


def caught(process: Path) -> int:
    """The signals that a process has a handler for, a bit each."""
    return int(re.findall(r"SigCgt:\s+(\w+)", (process / "status").read_text())[0], 16)


def test_a_worker_that_fails_is_named(run: Run, tmp_path: Path) -> None:
    command = run("sandbox.demo", "--folder", tmp_path / "demo")
    command.wait_for(r"s  A  \S+  (no )?car")
    for number in command.relatives():
        if b"\0text\0" in Path(f"/proc/{number}/cmdline").read_bytes():
            os.kill(number, signal.SIGKILL)
    assert command.end() == 1
    assert "demo: B, the text worker, ended with SIGKILL: " in command.printed
    assert nothing_is_left_of(command)


# --- the sandbox alone -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_whoever_pastes_its_lines(
    run: Run, tmp_path: Path, ending: signal.Signals
) -> None:
    scenes = 1 if ending == signal.SIGINT else 0
    command = run(
        "sandbox", "--scenes", scenes, "--overtaken", "1.jpg", AWS_PROFILE="nobody-has-it"
    )
    command.wait_for("export PATH=.*\n")
    if scenes:
        # as docs/laptop.md has it, with `cartext` from the PATH that is printed
        label = f"cartext label --state-dir {tmp_path}"
        done = subprocess.run(
            ["bash", "-ec", f"{command.printed}\n{label}"],
            cwd=ROOT,
            env={**os.environ, "AWS_PROFILE": "nobody-has-it"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert '"labelled"' in done.stderr
        environment = dict(re.findall("export (.*?)=(.*)\n", command.printed))
        sqs = boto3.client(
            "sqs",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        received = [
            sqs.receive_message(QueueUrl=environment["CARTEXT_QUEUE_URL"], MaxNumberOfMessages=10)
            for _ in range(2)
        ]
        # in this order, though sent in the other: a message of theirs each
        assert [[it["Body"] for it in reply["Messages"]] for reply in received] == [
            ["-1"],
            ["1.jpg"],
        ]
    command.process.send_signal(ending)
    assert command.end() == 0
    assert "Traceback" not in command.printed
    assert nothing_is_left_of(command)


def test_the_sandbox_says_why_it_cannot_start(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = run("sandbox", "--port", taken.getsockname()[1], "--scenes", 0)
        assert command.end() == 78
    assert "is another sandbox up?" in command.printed


@pytest.mark.usefixtures("signals")
def test_nohup_keeps_it_up_when_its_terminal_goes() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    leave_on_signals()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("module", [sandbox, demo])
def test_a_folder_of_nobody_is_said_in_a_line(
    module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        module.main(["--images", "~nobody-has-it/Pictures"])
    assert end.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("'~nobody-has-it/Pictures': there is no home of '~nobody-has-it'")


@pytest.mark.parametrize("module", [sandbox, demo])
def test_help_has_an_example(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        module.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert re.search(r"\n  cartext (demo|sandbox) +--images ~/Pictures", text)
    assert "exit status:" in text
