"""The files that people came for, written whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path

from workers.errors import RunError
from workers.ledger import Ledger
from workers.model import Decision
from workers.output.rows import ResultRow, failure_row, near_row

# rewriting takes at most this share of the time, however many results there are
REWRITE_SHARE = 0.05
REWRITE_SECONDS = 1.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_results(folder: Path, results: Iterable[ResultRow]) -> None:
    """Writes `output.txt` and `results.jsonl` of a run; raises RunError when the disk refuses."""
    with _of_run(folder, "output.txt") as lines, _of_run(folder, "results.jsonl") as rows:
        for row, line in results:
            rows.write(row + "\n")
            if line is not None:
                lines.write(line + "\n")


def write_failures(folder: Path, failures: Iterable[Decision]) -> None:
    """Writes `failed.jsonl`: the images of a run that label detection can never look at."""
    with _of_run(folder, "failed.jsonl") as rows:
        for decision in failures:
            rows.write(failure_row(decision) + "\n")


def write_near(folder: Path, decisions: Iterable[Decision], below: float) -> None:
    """Writes `near.jsonl`: the images of a run that have a label, but not surely enough."""
    with _of_run(folder, "near.jsonl") as rows:
        for decision in decisions:
            if near := decision.near:
                rows.write(near_row(decision, near, below) + "\n")


@contextmanager
def _of_run(folder: Path, name: str) -> Iterator[TextIOWrapper]:
    with replacing(folder / name) as file:
        sync_folder(folder.parent)
        yield file


@contextmanager
def replacing(path: Path) -> Iterator[TextIOWrapper]:
    """Opens a file to write; it takes the place of `path` when it is whole, RunError when not."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            undo.callback(temporary.unlink, missing_ok=True)
            temporary.unlink(missing_ok=True)
            # "x": a link that somebody has put there is not followed
            with temporary.open("x", encoding="utf-8", newline="\n") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"cannot write {path} ({error.strerror}); {advice(error)}") from error


def sync_folder(folder: Path) -> None:
    """Has the names in it last: a file that is synced may still lose its own with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def advice(error: OSError) -> str:
    """What a person does about a disk that refuses."""
    if error.errno in NO_ROOM:
        return "make room on its disk, then start again"
    return "check the folder's owner and the disk, then start again"


class Output:
    """Keeps the files of every run that has news up to date."""

    def __init__(
        self, state_dir: Path, ledger: Ledger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state_dir = state_dir
        self._ledger = ledger
        self._clock = clock
        self._news: set[str] = set()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._next = self._began = clock()

    def has_news(self, run: str) -> None:
        """Notes that the run has a result that its files do not have yet."""
        with self._lock:
            self._news.add(run)

    def write_now_and_then(self) -> None:
        """Writes what has news, unless that was done too short a time ago for its cost."""
        began = self._clock()
        if began >= self._next:
            self.write()
            ended = self._clock()
            took, so_far = ended - began, ended - self._began
            growth = self._ledger.refresh_growth * so_far
            self._next = ended + max(REWRITE_SECONDS, took / REWRITE_SHARE, growth)

    def write(self) -> None:
        """Writes what has news."""
        with self._writing:
            with self._lock:
                runs, self._news = self._news, set()
            for run in runs:
                write_results(self._state_dir / run, self._ledger.results(run))
