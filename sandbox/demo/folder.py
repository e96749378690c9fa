"""The demo's own folder: what a demo makes there, by name; nothing else is ever cleared."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path

from console.words import bytes_text
from sandbox.errors import SandboxError
from sandbox.pictures import File

ROLES = ("label", "text")
RUN = "demo"
MARKER = ".cartext-demo"
LITTLE_BYTES = 1_000_000
LEDGER = ("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm")
OUTPUT = ("output.txt", "results.jsonl", "failed.jsonl", "near.jsonl")


@dataclass(frozen=True)
class DemoFolder:
    """Where everything of a demo lies."""

    path: Path

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def images(self) -> Path:
        """Folder of the drawn scenes."""
        return self.path / "images"

    def log(self, role: str) -> Path:
        return self.path / f"{role}.log"

    def state(self, role: str) -> Path:
        return self.path / role

    def output(self, role: str, name: str) -> Path:
        """A file that a worker writes for people."""
        return self.state(role) / RUN / name

    def refuse_own(self, files: Iterable[File]) -> None:
        """Raises SandboxError when one of them is the demo's own, and would be cleared."""
        own = {path.resolve() for path in (self.path / MARKER, *self._made())}
        for file in files:
            if file.path.resolve() in own:
                raise SandboxError(
                    f"{shown(file.path)} is of an earlier demo, and goes with the next: "
                    "name a folder with nothing but your own pictures"
                )

    def clear(self) -> None:
        """Takes away what an earlier demo made. Raises SandboxError when that cannot be."""
        made = [*self._made()]
        with writing(self.path):
            # a drawn scene is known by those before it
            for path in reversed(made):
                path.unlink()
        for folder in sorted({path.parent for path in made} - {self.path}, reverse=True):
            # somebody else's files stay, and their folder with them
            with suppress(OSError):
                folder.rmdir()

    def _made(self) -> Iterator[Path]:
        drawn = (self.images / f"{number}.jpg" for number in count(1))
        yield from takewhile(Path.is_file, drawn)
        files = [self.report, *map(self.log, ROLES)]
        for role in ROLES:
            files += (self.state(role) / name for name in (f"{role}.lock", *LEDGER))
            files += (self.output(role, name) for name in OUTPUT)
        for file in files:
            # and what is left of one that was not written to its end
            yield from filter(Path.is_file, (file, file.with_name(f".{file.name}.new")))


@contextmanager
def demo_folder(path: Path) -> Iterator[DemoFolder]:
    """Makes the folder, if need be, this process's alone. Raises SandboxError."""
    path = path.absolute()
    marker = path / MARKER
    with ExitStack() as stack:
        with writing(path):
            if path.exists() and not marker.exists() and any(path.iterdir()):
                raise SandboxError(f"{path} holds something else: give another --folder")
            path.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(marker.open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                taken = f"another demo is at work in {path}: wait for its end"
                raise SandboxError(taken) from None
        yield DemoFolder(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Where the disk refuses, raises SandboxError: which file, why, how much room is left."""
    try:
        yield
    except OSError as error:
        raise SandboxError(
            f"cannot write {shown(path)}: {error.strerror}{room(path)}; "
            "mend that, or give another --folder"
        ) from error


def room(path: Path) -> str:
    """` (12 kB free there)` where the disk takes little more, else nothing."""
    there = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(there).free
    return f" ({bytes_text(free)} free there)" if free < LITTLE_BYTES else ""


def shown(path: Path) -> Path:
    """The path as short as a person needs it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
