"""`python -m sandbox.demo`: both workers at work on ten pictures, on an AWS of this machine."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from rich.console import Console
from rich.live import Live

from sandbox import eyes, model
from sandbox.board import NAMES, Board, Verdict, plain
from sandbox.folder import find_files, read_files
from sandbox.model import SandboxError
from sandbox.rekognition import knobs
from sandbox.scenes import Sample, sample_images
from sandbox.server import Sandbox
from workers.errors import DO_NOT_START_AGAIN, DONE
from workers.report import FolderPictures, write_report

ROOT = Path(__file__).resolve().parent.parent
MARKER = ".cartext-demo"
RUN = "demo"

# Rekognition takes as long; few images are worked on few at a time, so that one can watch
LATENCY_SECONDS, LATENCY_JITTER = 0.4, 0.5
IN_FLIGHT, IN_FLIGHT_OF_FEW = 16, {"label": 2, "text": 4}
FEW_IMAGES = 50
MOST_LINES = 40
DRAIN_SECONDS = 3.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

EPILOG = f"""\
examples:
  python -m sandbox.demo                          ten drawn scenes, 1.jpg to 10.jpg
  python -m sandbox.demo --images ~/Pictures      your own photos, sub-folders too

exit status:
  {DONE}    both workers are done and, with drawn scenes, the output is true
  1    a worker failed, or the output is not what was drawn
  {DO_NOT_START_AGAIN}   a folder cannot be used, or the label model cannot be fetched
  128+n  stopped by signal n (130: Ctrl-C)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status."""
    options = _options(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _on_signals()
    try:
        with _folder(options.folder) as folder:
            return Demo(folder).run(options.images, options.scenes)
    except SandboxError as error:
        print(f"demo: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    except WorkerFailedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # nobody reads on; the interpreter would complain about it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except StoppedError as stopped:
        print("Stopped; nothing of it runs any more.", file=sys.stderr)
        return 128 + stopped.number


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m sandbox.demo",
        description="Finds the cars in some pictures and reads the text on them, on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, metavar="FOLDER", help="your own pictures")
    source.add_argument(
        "--scenes", type=positive, default=10, metavar="N", help="drawn scenes (default: 10)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "demo",
        help="where everything is written; what an earlier demo left there goes (default: demo/)",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


# --- the demo ----------------------------------------------------------------------------------


class Demo:
    """One run through it; all that it leaves behind lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._began = time.monotonic()
        self._console = _console()

    def run(self, own: Path | None, scenes: int) -> int:
        """Shows it with a person's own folder or with drawn scenes; returns the exit status."""
        files = find_files(own, self._skipped) if own else []
        self._fetch_model()
        with Sandbox() as sandbox:
            self._say(f"An AWS of your own is up at {sandbox.endpoint}, on this machine only.")
            samples = [] if own else self._draw(scenes)
            drawn = ((sample.index, sample.data) for sample in samples)
            count = self._upload(sandbox, read_files(files, self._skipped) if own else drawn)
            eyes.warm_up()
            knobs.latency_seconds, knobs.latency_jitter = LATENCY_SECONDS, LATENCY_JITTER
            board = Board(count)
            began = time.monotonic()
            self._work(sandbox, board)
            seconds = time.monotonic() - began
        results = self.folder / "text" / RUN / "results.jsonl"
        pictures = FolderPictures(own or self.folder / "images")
        write_report(results, self.folder / "report.html", pictures)
        return self._report(board, samples, seconds)

    def _say(self, text: str = "") -> None:
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _skipped(self, name: str, reason: str) -> None:
        self._say(f"Left out {plain(name)}: {reason}.")

    def _fetch_model(self) -> None:
        if not (model.CACHE / model.ASSET).is_file():
            self._say("Fetching the label model with npm: 10 MB, only this once …")
        model.load()

    def _draw(self, count: int) -> list[Sample]:
        samples = list(sample_images(count))
        (self.folder / "images").mkdir()
        for sample in samples:
            (self.folder / "images" / sample.index).write_bytes(sample.data)
        return samples

    def _upload(self, sandbox: Sandbox, images: Iterator[tuple[str, bytes]]) -> int:
        keys = []

        def noted() -> Iterator[tuple[str, bytes]]:
            for key, content in images:
                keys.append(key)
                yield key, content

        bucket = sandbox.create_bucket("images", noted())
        if not keys:
            raise SandboxError("none of the files can be read: check the folder's permissions")
        what = f"{keys[0]} … {keys[-1]}" if len(keys) > 1 else keys[0]
        self._say(f"Uploaded {_number(len(keys), 'image')} to s3://{bucket}: {plain(what)}")
        return len(keys)

    def _work(self, sandbox: Sandbox, board: Board) -> None:
        environment = sandbox.environment(
            CARTEXT_BUCKET="images",
            CARTEXT_QUEUE_URL=sandbox.create_queue("index"),
            CARTEXT_RUN=RUN,
        )
        in_flight = IN_FLIGHT_OF_FEW if board.images <= FEW_IMAGES else {}
        self._say("A asks what is in each image and puts the cars on the queue; B reads them.\n")
        with Pair(self.folder, environment, in_flight) as pair, self._screen(board) as screen:
            for role, line in pair.lines():
                verdict = board.hear(role, _event(line))
                screen.show(role, verdict)
        self._say()

    @contextmanager
    def _screen(self, board: Board) -> Iterator[Screen]:
        if not self._console.is_terminal:
            yield Screen(self._console, board)
            return
        with Live(board, console=self._console, refresh_per_second=12):
            yield Screen(None, board)

    def _report(self, board: Board, samples: list[Sample], seconds: float) -> int:
        output = self.folder / "text" / RUN / "output.txt"
        lines = output.read_text().splitlines()
        self._say(f"output.txt: {_number(len(lines), 'image')} with a car and text")
        for line in lines[:MOST_LINES] or ["(none)"]:
            self._say(f"  {line}")
        if len(lines) > MOST_LINES:
            self._say(f"  … and {len(lines) - MOST_LINES} more")
        self._say()
        self._tell_failures(board)
        wrong = list(_wrong(board, samples, lines))
        for complaint in wrong:
            self._say(f"Not as drawn: {complaint}")
        if samples and not wrong:
            self._say(f"All as drawn: {board.counts('label')}; {board.counts('text')}.")
        if board.read_meanwhile:
            self._say(f"B had read {board.read_meanwhile} of its images before A was done.")
        total = time.monotonic() - self._began
        self._say(f"It took {total:.1f} s, {seconds:.1f} s of that for the two workers.\n")
        self._tell_files(bool(samples))
        return 1 if wrong else DONE

    def _tell_failures(self, board: Board) -> None:
        for verdict in board.failed[:5]:
            self._say(f"Could not look at {plain(verdict.index)}: {verdict.text[8:]}")
        if len(board.failed) > 5:
            self._say(f"… and at {len(board.failed) - 5} more: see failed.jsonl and results.jsonl")

    def _tell_files(self, drawn: bool) -> None:
        files = {
            "report.html": "all of it as a page, with the pictures: open it in a browser",
            f"text/{RUN}/output.txt": "every image with a car and text",
            f"text/{RUN}/results.jsonl": "every image with a car, in full",
            f"label/{RUN}/failed.jsonl": "images that cannot be looked at",
            "label.log": "what A said",
            "text.log": "what B said",
        }
        if drawn:
            files["images"] = "the drawn scenes"
        paths = [str(_shown(self.folder / name)) for name in files]
        for path, what in zip(paths, files.values(), strict=True):
            self._say(f"  {path:<{max(map(len, paths))}}  {what}")


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _wrong(board: Board, samples: list[Sample], lines: list[str]) -> Iterator[str]:
    """What differs from what was drawn, one sentence for each image."""
    output = dict(line.split(": ", 1) for line in lines)
    for sample in samples:
        index, truth = sample.index, sample.truth
        if (index in board.cars) != truth.car:
            yield f"{index} shows {'a' if truth.car else 'no'} car."
        text = " | ".join(truth.text) if truth.car else ""
        if output.get(index, "") != text:
            yield f"{index} says {text!r}, and was read as {output.get(index, '')!r}."


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _console() -> Console:
    """A console that is plain wherever a person would not want colours and a moving cursor."""
    console = Console()
    live = sys.stdout.isatty() and not console.is_dumb_terminal and not os.environ.get("NO_COLOR")
    return console if live else Console(force_terminal=False, color_system=None)


class Screen:
    """Tells each verdict in a line, where there is no live view that tells it."""

    def __init__(self, console: Console | None, board: Board) -> None:
        self._console = console
        self._board = board
        self._began = self._told = time.monotonic()

    def show(self, role: str, verdict: Verdict | None) -> None:
        """Says what is new: each verdict when there are few images, else counts now and then."""
        if not (self._console and verdict):
            return
        now = time.monotonic()
        text = f"{NAMES[role]}  {verdict.index}  {verdict.text}"
        if self._board.images > FEW_IMAGES:
            if now - self._told < 5:
                return
            self._told = now
            text = "   ".join(f"{NAMES[each]}  {self._board.counts(each)}" for each in NAMES)
        line = f"{now - self._began:5.1f} s  {plain(text)}"
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


# --- the two workers ---------------------------------------------------------------------------


class WorkerFailedError(Exception):
    """A worker ended with another status than 0; the text says which, and its last line."""


@dataclass
class Worker:
    """One worker's process and the last line that it said."""

    role: str
    process: subprocess.Popen[str]
    last_line: str = ""


@dataclass
class Pair:
    """Both workers as processes beside each other, ended when the context is left."""

    folder: Path
    environment: Mapping[str, str]
    in_flight: Mapping[str, int]
    _workers: list[Worker] = field(default_factory=list)
    _said: queue.SimpleQueue[tuple[Worker, str | None]] = field(default_factory=queue.SimpleQueue)

    def __enter__(self) -> Pair:
        with _signals_wait():
            for role in ("text", "label"):
                worker = Worker(role, self._start(role))
                self._workers.append(worker)
                threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with _signals_wait():
            for worker in self._workers:
                worker.process.terminate()
            ends = time.monotonic() + DRAIN_SECONDS
            for worker in self._workers:
                try:
                    worker.process.wait(max(0.0, ends - time.monotonic()))
                except subprocess.TimeoutExpired:
                    worker.process.kill()
                    worker.process.wait()

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields role and line of all that they say, until both are done.

        Raises WorkerFailedError as soon as one ends with another status than 0.
        """
        working = len(self._workers)
        while working:
            worker, line = self._said.get()
            if line is not None:
                worker.last_line = line.strip() or worker.last_line
                yield worker.role, line
            elif status := worker.process.wait():
                raise WorkerFailedError(_obituary(worker, status, self.folder))
            else:
                working -= 1

    def _start(self, role: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(filter(None, (str(ROOT), self.environment.get("PYTHONPATH"))))
        flags = ["--state-dir", str(self.folder / role), "--worker", role]
        flags += ["--in-flight", str(self.in_flight.get(role, IN_FLIGHT))]
        return subprocess.Popen(
            [sys.executable, "-m", "workers", role, *flags],
            # where no cartext.env of a person lies, and Ctrl-C does not come by itself
            cwd=self.folder,
            process_group=0,
            env={**self.environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )

    def _listen(self, worker: Worker) -> None:
        said = worker.process.stderr
        assert said  # noqa: S101 - it is piped
        with (self.folder / f"{worker.role}.log").open("w", encoding="utf-8", buffering=1) as log:
            for line in said:
                log.write(line)
                self._said.put((worker, line))
        self._said.put((worker, None))


def _obituary(worker: Worker, status: int, folder: Path) -> str:
    how = f"status {status}" if status > 0 else signal.Signals(-status).name
    reason = _event(worker.last_line).get("reason") or worker.last_line or "it said nothing"
    log = _shown(folder / f"{worker.role}.log")
    name = f"{NAMES[worker.role]}, the {worker.role} worker,"
    return f"{name} ended with {how}: {plain(str(reason))} (all that it said: {log})"


# --- its folder, and signals -------------------------------------------------------------------


@contextmanager
def _folder(folder: Path) -> Iterator[Path]:
    """Clears the demo's folder, which is this process's alone meanwhile."""
    folder = folder.absolute()
    marker = folder / MARKER
    with ExitStack() as stack:
        try:
            if folder.exists() and not marker.exists() and any(folder.iterdir()):
                raise SandboxError(f"{folder} holds something else: give another --folder")
            folder.mkdir(parents=True, exist_ok=True)
            lock: IO[str] = stack.enter_context(marker.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != marker:
                    path.unlink()
        except BlockingIOError as error:
            raise SandboxError(f"another demo is at work in {folder}: wait for its end") from error
        except OSError as error:
            raise SandboxError(f"the folder {folder} cannot be used ({error.strerror})") from error
        yield folder


class StoppedError(BaseException):
    """A person or the system wants the demo to end; not an Exception, for nothing may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _on_signals() -> None:
    def stop(number: int, _: FrameType | None) -> None:
        # the way out takes a few seconds at most, and nothing may cut it short
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise StoppedError(number)

    for each in SIGNALS:
        signal.signal(each, stop)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Keeps a signal back until what must be done as a whole is done."""
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came:
        signal.raise_signal(came[0])


if __name__ == "__main__":
    sys.exit(main())
