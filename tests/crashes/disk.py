"""A disk as POSIX promises it: what is not synced may be lost with the power, or half of it.

A write lasts once its file is synced; that a name is there, renamed or gone, once its folder is. Of
what is not synced any of the writes of a file may have come to the disk, in any order, torn, and of
what was done to the names of a folder a beginning, as the journal of every usual file system has
it. A sector is not damaged by a write that stops beside it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

FOLDER = None
Files = Mapping[str, bytes | None]
"""What lies on a disk, by path; a folder has no content."""


class Change(NamedTuple):
    """What was done to a file: some bytes at a place, or where it ends."""

    at: int
    data: bytes | None

    def make(self, content: bytearray) -> None:
        if self.data is None:
            del content[self.at :]
        self._extend(content)
        content[self.at : self.at + len(self.data or b"")] = self.data or b""

    def _extend(self, content: bytearray) -> None:
        content.extend(bytes(max(0, self.at - len(content))))


@dataclass(eq=False)
class File:
    """What is on the disk for sure, and what was done since."""

    synced: bytes = b""
    since: list[Change] = field(default_factory=list)

    def with_changes(self, changes: list[Change]) -> bytes:
        content = bytearray(self.synced)
        for change in changes:
            change.make(content)
        return bytes(content)

    def sync(self) -> None:
        self.synced, self.since = self.with_changes(self.since), []


Names = list[tuple[str, File | None, bool]]
"""What one operation does to names: each with what it then names, and whether it is there."""


class Loss(NamedTuple):
    """What of the things that are not synced a crash leaves."""

    name: str
    of_changes: Callable[[list[Change]], list[Change]]
    of_names: Callable[[list[Names]], list[Names]]


class Disk:
    """Takes operations one by one; tells what a crash leaves."""

    def __init__(self, files: Files) -> None:
        self._names = {
            path: FOLDER if content is None else File(content) for path, content in files.items()
        }
        self._synced = dict(self._names)
        self._since: defaultdict[str, list[Names]] = defaultdict(list)

    def create(self, path: str) -> None:
        if path not in self._names:
            self._name([(path, File(), True)])

    def write(self, path: str, at: int, data: bytes) -> None:
        self._file(path).since.append(Change(at, data))

    def truncate(self, path: str, size: int) -> None:
        self._file(path).since.append(Change(size, None))

    def sync(self, path: str) -> None:
        self._file(path).sync()

    def rename(self, path: str, to: str) -> None:
        self._name([(to, self._file(path), True), (path, None, False)])

    def unlink(self, path: str) -> None:
        self._name([(path, None, False)])

    def make_folder(self, path: str) -> None:
        self._name([(path, FOLDER, True)])

    def sync_folder(self, path: str) -> None:
        for names in self._since.pop(path, []):
            _give(names, self._synced)

    def after_crash(self, loss: Loss) -> dict[str, bytes | None]:
        """What is there when the machine has started again."""
        names = dict(self._synced)
        for since in self._since.values():
            for each in loss.of_names(since):
                _give(each, names)
        left: dict[str, bytes | None] = {}
        for path, file in sorted(names.items()):
            # a folder comes before what is in it; where it is lost, so is that
            if _folder(path) in left or not _folder(path):
                left[path] = file.with_changes(loss.of_changes(file.since)) if file else FOLDER
        return left

    def _file(self, path: str) -> File:
        file = self._names[path]
        assert file, path
        return file

    def _name(self, names: Names) -> None:
        _give(names, self._names)
        self._since[_folder(names[0][0])].append(names)


def _give(names: Names, given: dict[str, File | None]) -> None:
    for path, file, is_there in names:
        if is_there:
            given[path] = file
        else:
            given.pop(path, None)


def _folder(path: str) -> str:
    folder = str(PurePath(path).parent)
    return "" if folder == "." else folder


def _all(things: list) -> list:
    return things


def _none(things: list) -> list:
    return []


def _last_torn(changes: list[Change]) -> list[Change]:
    return [*changes[:-1], *map(_half, changes[-1:])]


def _half(change: Change) -> Change:
    return (
        change
        if change.data is None
        else change._replace(data=change.data[: len(change.data) // 2])
    )


KEPT = Loss("kept", _all, _all)
DROPPED = Loss("dropped", _none, _none)
TORN = Loss("torn", _last_torn, _all)


def some(seed: int) -> Loss:
    """Of each change and each folder whatever the seed says."""
    chance = random.Random(seed)

    def of_changes(changes: list[Change]) -> list[Change]:
        share = chance.random()
        there = [change for change in changes if chance.random() < share]
        return [_half(change) if chance.random() < 0.2 else change for change in there]

    def of_names(names: list[Names]) -> list[Names]:
        return names[: chance.randint(0, len(names))]

    return Loss(f"some, seed {seed}", of_changes, of_names)
