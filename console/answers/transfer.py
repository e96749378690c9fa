"""Answers out of a ledger into a file and back, in as little memory however many there are."""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from console.answers.lines import CARRIED, MOST_BYTES, Carried, line_of, read_line
from console.written import STREAM, writing
from workers.answer import KINDS
from workers.errors import RunError
from workers.ledger import Ledger
from workers.model import Picture

# so many are kept and waited for at once
BATCH = 1000

Rows = Iterator[tuple[Picture, Carried]]


@dataclass
class Kept:
    """How many answers of a kind there are, and the bytes that they take, packed."""

    count: int = 0
    bytes: int = 0


def count(ledger: Ledger) -> dict[str, Kept]:
    """What is kept of each kind."""
    kept = {kind: Kept() for kind in KINDS}
    for kind, _, packed in ledger.all_answers():
        kept[kind].count += 1
        kept[kind].bytes += len(packed)
    return kept


def export_to(path: Path, ledger: Ledger) -> int:
    """Writes every answer into a file, and says how many; RunError when it cannot."""
    exported = 0
    with writing(path) as file:
        for kind, picture, packed in ledger.all_answers():
            if kind in CARRIED:
                file.write(line_of(picture, _unpack(kind, picture, packed)) + "\n")
                exported += 1
    return exported


@dataclass
class Imported:
    """How many answers of a file were `new`, of how many."""

    new: int = 0
    of: int = 0


def import_from(path: Path, ledger: Ledger) -> Imported:
    """Keeps the answers of a file, those that are not there with as low a floor.

    Raises RunError, and keeps nothing, when a line of it is broken. What is kept when the ledger
    fails in the middle stays, and importing again goes on.
    """
    imported = Imported()
    with _reading(path) as file:
        for _ in _rows(file, path):
            imported.of += 1
        rows = _rows(file, path)
        while batch := list(islice(rows, BATCH)):
            imported.new += _keep(batch, ledger)
    return imported


def _keep(batch: list[tuple[Picture, Carried]], ledger: Ledger) -> int:
    futures = []
    for kind in CARRIED:
        best: dict[Picture, Carried] = {}
        for picture, answer in batch:
            if kind == answer.KIND and _is_new(answer, best.get(picture)):
                best[picture] = answer
        there = {
            picture: _unpack(kind, picture, packed)
            for picture, packed in ledger.answers(kind, list(best)).items()
        }
        futures += [
            ledger.keep(picture, answer)
            for picture, answer in best.items()
            if _is_new(answer, there.get(picture))
        ]
    for future in futures:
        future.result()
    return len(futures)


def _is_new(answer: Carried, there: Carried | None) -> bool:
    return there is None or answer.floor < there.floor


def _unpack(kind: str, picture: Picture, packed: bytes) -> Carried:
    try:
        return CARRIED[kind].unpack(packed)
    except ValueError as error:
        raise RunError(
            f"the ledger's answer of the kind {kind!r} about the picture {picture.etag}, "
            f"{picture.size} bytes, is broken ({error}); take the ledger of a snapshot"
        ) from error


def name(path: Path) -> str:
    """What a person calls the file to import."""
    return "standard input" if path == STREAM else str(path)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The file, of which each reading begins anew: a pipe's bytes are kept on the disk."""
    try:
        with ExitStack() as closing:
            source: BinaryIO = (
                sys.stdin.buffer if path == STREAM else closing.enter_context(path.open("rb"))
            )
            if source.seekable():
                yield source
                return
            copy = closing.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(source, copy)
            yield copy
    except OSError as error:
        raise RunError(f"cannot read {name(path)} ({error.strerror}); check --import") from error


def _rows(file: BinaryIO, path: Path) -> Rows:
    file.seek(0)
    source = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
    number = 0
    try:
        while line := source.readline(MOST_BYTES):
            number += 1
            yield read_line(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RunError(
            f"{name(path)} is not whole after line {number} ({error}); nothing was imported"
        ) from error
    except ValueError as error:
        raise RunError(
            f"{name(path)}, line {number}, is no answer: {error}; nothing was imported"
        ) from error
