"""A list of keys instead of a listing: one a line, or an S3 Inventory's CSV; plain or gzip."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote_plus

from workers.errors import RunError
from workers.index_queue.messages import MOST_INDEX_BYTES
from workers.model import Image

# as many as a page of a listing has
PAGE = 1000
# bytes of a line: a key has 1,024, each three times as long in an inventory
MOST_LINE = 65_536
# bytes of an object, at least so many more than S3 takes
LARGEST = 2**62
GZIP = b"\x1f\x8b"
# every field of an inventory is in quotes
INVENTORY = re.compile('"[^"]*","')
ETAG = re.compile(r"[0-9a-f]{32}(-[0-9]{1,5})?")
BOOLEANS = {"true", "false"}


def key_pages(
    path: Path, bucket: str, prefix: str, after: int = 0, most: int = PAGE
) -> Iterator[tuple[int, list[Image]]]:
    """The images of the list whose keys begin with the prefix, in its order, behind the first
    `after`: up to so many a page, with how many stand in the list up to its end.

    A key alone says nothing of its picture. Raises RunError when the list cannot be understood.
    """
    stretches = KeyStretches(path, bucket, prefix)
    while page := stretches.read(after, after + most):
        after = stretches.at
        yield after, page


class KeyStretches:
    """Stretches of the same list, read one after the other; one that lies before costs a rereading.

    `at` is how many images stand before the place that it is at.
    """

    def __init__(self, path: Path, bucket: str, prefix: str) -> None:
        self._list = path, bucket
        self._prefix = prefix
        self._begin()

    def _begin(self) -> None:
        self.at = 0
        self._images = (
            image
            for image in _images(*self._list)
            if image.index.startswith(self._prefix) and not image.index.endswith("/")
        )

    def read(self, after: int, upto: int) -> list[Image]:
        """The images behind the first `after`, up to the `upto`-th; of each key the first one."""
        if after < self.at:
            self._begin()
        stretch = list(islice(self._images, after - self.at, upto - self.at))
        self.at = after + len(stretch)
        once: dict[str, Image] = {}
        for image in stretch:
            once.setdefault(image.index, image)
        return [*once.values()]


def digest(path: Path) -> str:
    """What tells this list from others, however it is packed and wherever it lies."""
    sha256 = hashlib.sha256()
    with _lines(path) as lines:
        while chunk := lines.read(MOST_LINE):
            sha256.update(chunk)
    return f"sha256:{sha256.hexdigest()[:32]}"


def _images(path: Path, bucket: str) -> Iterator[Image]:
    with _lines(path) as lines:
        text = _decoded(path, lines)
        first = next((line for line in text if line), None)
        if first is None:
            raise RunError(f"the list of keys {path} is empty; put keys into it, one a line")
        rows = chain([first], text)
        if INVENTORY.match(first):
            yield from _inventoried(path, rows, bucket)
        else:
            for key in filter(None, rows):
                try:
                    yield Image(_fit(key), 0, "")
                except ValueError as error:
                    raise RunError(f"the list of keys {path} has {error}; correct it") from error


def _inventoried(path: Path, lines: Iterator[str], bucket: str) -> Iterator[Image]:
    rows = csv.reader(lines, strict=True)
    try:
        for row in rows:
            if row and (image := _image(row, bucket)):
                yield image
    except (csv.Error, ValueError) as error:
        raise RunError(
            f"the inventory {path} is not understood in line {rows.line_num}: {error}"
        ) from error


def _fit(key: str) -> str:
    """The key, if S3 may have it; ValueError else, which no ledger need then stand."""
    if len(key.encode()) > MOST_INDEX_BYTES:
        raise ValueError(f"a key of over {MOST_INDEX_BYTES:,} bytes, {key[:60]!r}…")
    return key


def _image(row: list[str], bucket: str) -> Image | None:
    """The image of a row, None where another version is the object's; ValueError if it has none.

    Which fields a row has, and in which order, stands in the inventory's manifest only: bucket and
    key are the first ones, and what comes then is known by its looks.
    """
    whose, key, *fields = [*row, "", ""]
    if whose != bucket:
        raise ValueError(f"it is about the bucket {whose!r}, not {bucket!r}")
    if len(fields) > 2 and BOOLEANS.issuperset(fields[1:3]):
        _, latest, deleted, *fields = fields
        if latest == "false" or deleted == "true":
            return None
    etags = [field for field in fields[1:] if ETAG.fullmatch(field)]
    if not etags or not fields[0].isdecimal():
        raise ValueError(
            "no size and no ETag after the key; have the inventory made with both, or give a list "
            "of keys alone"
        )
    if int(fields[0]) > LARGEST:
        raise ValueError(f"the size {fields[0]} is no object's")
    # a listing has the ETag in quotes
    return Image(_fit(unquote_plus(key, errors="strict")), int(fields[0]), f'"{etags[0]}"')


def _decoded(path: Path, lines: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(iter(partial(lines.readline, MOST_LINE), b""), 1):
        if len(line) == MOST_LINE:
            raise RunError(
                f"the list of keys {path} has over {MOST_LINE:,} bytes in line {number}; put each "
                "key on a line of its own"
            )
        try:
            # an editor may have put a mark before the first line
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise RunError(
                f"the list of keys {path} is not UTF-8 in line {number}: {error.reason}"
            ) from error
        yield text.rstrip("\r\n")


@contextmanager
def _lines(path: Path) -> Iterator[IO[bytes]]:
    try:
        if path.exists() and not path.is_file():
            raise RunError(f"the list of keys {path} is no file; it is read more than once")
        with path.open("rb") as file:
            zipped = file.read(2) == GZIP
            file.seek(0)
            with gzip.open(file) if zipped else file as lines:
                yield cast("IO[bytes]", lines)
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise RunError(
            f"the list of keys {path} cannot be read: {said}; check CARTEXT_KEYS"
        ) from error
