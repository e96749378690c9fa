"""A power cut of a worker's machine: what it had written and not synced may be gone."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.crashes.disk import DROPPED, FOLDER, KEPT, TORN, Disk, Files, Loss, some
from tests.crashes.record import Event, Record

# SQLite makes it anew
NOT_ON_DISK = "-shm"


class _Journal(Record):
    """Tells a file of all that lasts, so that it is there when the process is killed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, what: str, *of: Any) -> None:
        os.write(self._file, pickle.dumps(Event(what, of)))


@contextmanager
def telling(journal: Path | None) -> Iterator[None]:
    """Within, what this process does to the folders beside its journal is told there."""
    if not journal:
        yield
        return
    with _Journal(journal).recording():
        yield


class Mirror:
    """A worker's folder, and which of it is on the disk for sure."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.journal = folder.with_suffix(".journal")
        self.journal.touch()
        self._folder = folder
        self._seed = seed
        # that the folder is there is no worker's doing
        self._disk = Disk({folder.name: FOLDER})

    def after_life(self, is_cut: bool) -> None:
        """Takes in what a life has done; leaves what a power cut does, where it ended by one."""
        for event in self._events():
            getattr(self._disk, event.what)(*event.of)
        self._take_in_the_rest()
        if is_cut:
            left = self._disk.after_crash(self._loss())
            self._write(left)
            self._disk = Disk(left)

    def _loss(self) -> Loss:
        self._seed += 1
        losses = (DROPPED, TORN, some(self._seed))
        return losses[self._seed % len(losses)]

    def _events(self) -> Iterator[Event]:
        with self.journal.open("r+b") as file:
            try:
                while True:
                    yield pickle.load(file)  # noqa: S301 - a worker of ours has written it
            except (EOFError, pickle.UnpicklingError):
                # the last one may be half of one
                file.truncate(0)

    def _take_in_the_rest(self) -> None:
        """What the process was at when it was killed: written, and neither told nor synced."""
        told, there = self._disk.after_crash(KEPT), self._files()
        for name, content in there.items():
            if content is FOLDER and name not in told:
                self._disk.make_folder(name)
            elif content is not FOLDER and told.get(name) != content:
                self._disk.create(name)
                self._disk.write(name, 0, content)
                self._disk.truncate(name, len(content))
        for name in told.keys() - there.keys():
            self._disk.unlink(name)

    def _files(self) -> Files:
        root = self._folder.parent
        return {
            str(path.relative_to(root)): FOLDER if path.is_dir() else path.read_bytes()
            for path in sorted([self._folder, *self._folder.rglob("*")])
            if not path.name.endswith(NOT_ON_DISK)
        }

    def _write(self, files: Files) -> None:
        shutil.rmtree(self._folder)
        for name, content in sorted(files.items()):
            path = self._folder.parent / name
            if content is None:
                path.mkdir()
            else:
                path.write_bytes(content)
