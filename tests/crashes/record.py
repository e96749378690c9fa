"""What a run does that lasts, in one order: on its disks, to the queue, on the bill."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from tests.crashes.sqlite_vfs import TellingVfs


class Event(NamedTuple):
    """Something that lasts; the names are those of `Disk` and of `World`."""

    what: str
    of: tuple[Any, ...]


class Record:
    """The events of a run whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self._folder = str(folder) + os.sep
        self._lock = threading.Lock()
        # what each file of Python's had in it when it was last told
        self._told: dict[str, bytes] = {}

    def note(self, what: str, *of: Any) -> None:
        with self._lock:
            self.events.append(Event(what, of))

    def on_disk(self, what: str, *of: Any) -> None:
        """The same of a file, or of two; those of others are left out."""
        of = tuple(os.path.abspath(each) if isinstance(each, os.PathLike) else each for each in of)  # noqa: PTH100
        if of[0].startswith(self._folder):
            names = (e.removeprefix(self._folder) if isinstance(e, str) else e for e in of)
            self.note(what, *names)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """SQLite's files, and those that Python writes."""
        vfs = TellingVfs(self.on_disk)
        vfs.install()
        try:
            with (
                patch("os.fsync", self._fsync(os.fsync)),
                patch("os.replace", self._replace(os.replace)),
                patch("os.unlink", self._after(os.unlink, "unlink")),
                patch("os.mkdir", self._after(os.mkdir, "make_folder")),
            ):
                yield
        finally:
            vfs.remove()

    def _after(self, do: Callable[..., None], what: str) -> Callable[..., None]:
        def done(path: Any, *more: Any, **named: Any) -> None:
            do(path, *more, **named)
            self.on_disk(what, Path(path))

        return done

    def _fsync(self, fsync: Callable[[int], None]) -> Callable[[int], None]:
        def synced(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.on_disk("sync_folder", path)
            else:
                self._written(path)
                self.on_disk("sync", path)
            fsync(descriptor)

        return synced

    def _replace(self, replace: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def replaced(path: Any, to: Any) -> None:
            self._written(Path(path))
            self._told.pop(str(path))
            replace(path, to)
            self.on_disk("rename", Path(path), Path(to))

        return replaced

    def _written(self, path: Path) -> None:
        """Tells of what is in a file now, which Python has written in whatever pieces."""
        content = path.read_bytes()
        if self._told.get(str(path)) != content:
            self._told[str(path)] = content
            self.on_disk("create", path)
            self.on_disk("write", path, 0, content)
