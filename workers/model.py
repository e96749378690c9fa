"""What the workers speak of, in the field's words, and its JSON; no AWS shape gets past these."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError

R = TypeVar("R")

# JSON has no infinity, though some write it
FINITE = ConfigDict(allow_inf_nan=False)


class Picture(NamedTuple):
    """What an image shows, wherever it lies: `etag` and `size` in bytes tell it from all others."""

    etag: str
    size: int

    @property
    def is_known(self) -> bool:
        """Whether it can be told from others."""
        return bool(self.etag and self.size)


NO_PICTURE = Picture("", 0)


@dataclass(frozen=True, slots=True)
class Image:
    """An object of the bucket: its index is its key, `size` in bytes; `part` is the number of its
    part of the listing.

    Of a key from a list neither `size` nor `etag` is known at first; a `problem` is why it cannot
    be had.
    """

    index: str
    size: int
    etag: str
    problem: str | None = None
    part: int = 0

    @property
    def picture(self) -> Picture:
        """What it shows."""
        return Picture(self.etag, self.size)


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box as ratios (0 to 1) of the image's width and height."""

    __pydantic_config__ = FINITE

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """A label that an image has, `confidence` in percent, and where its instances are."""

    __pydantic_config__ = FINITE

    name: str
    confidence: float
    boxes: tuple[Box, ...] = ()


Labels = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a message says of its image: the object's ETag and size, and the labels that were seen.

    The version before sent no size, and one `label`.
    """

    etag: str = ""
    label: Label | None = None
    size: int | None = None
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in an image: `confidence` in percent, `polygon` as (x, y) ratios."""

    __pydantic_config__ = FINITE

    text: str
    confidence: float
    polygon: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the label worker found out about an image.

    `labels` are those of the question that it has with enough confidence, `near` is the surest of
    those that it has without, `failure` says why it can never be looked at; `picture` is what was
    looked at. It is `known` when nothing was paid for it.
    """

    run: str
    part: int
    index: str
    picture: Picture = NO_PICTURE
    labels: tuple[Label, ...] = ()
    failure: str | None = None
    known: bool = False
    near: Label | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What the text worker found out about an image with the label.

    `time` is when, in ISO 8601 and UTC; empty where nobody noted it. What was asked for `by_hand`
    counts for no end. It is `known` when nothing was paid for it.
    """

    run: str
    index: str
    labels: tuple[Label, ...] = ()
    lines: tuple[TextLine, ...] = ()
    failure: str | None = None
    time: str = ""
    by_hand: bool = False
    known: bool = False

    @property
    def filed(self) -> str:
        """Under what the ledgers file it."""
        return filed(self.index, self.by_hand)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a run's listing: its images, about so many, stand behind `after` up to `upto`.

    Such a place is a key; in a list of keys, how many stand before it. They are numbered from 1.
    In a fleet it is worked on `by` a worker, or by nobody yet.
    """

    number: int
    after: str
    upto: str
    images: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """How far a run's listing has come: so many `parts` with so many `images`, up to `reached`.

    It is `whole` when nothing is behind that. `of` is how many images a first look has seen, None
    without one; `lister` is the worker that goes on with it, in a fleet.
    """

    parts: int = 0
    images: int = 0
    reached: str = ""
    whole: bool = False
    of: int | None = None
    lister: str = ""

    @property
    def total(self) -> int | None:
        """How many images the run has, None while nobody knows."""
        return self.images if self.whole else self.of

    def behind(self, *parts: Part) -> Listed:
        """How far it has come with these."""
        images = self.images + sum(part.images for part in parts)
        return replace(self, parts=parts[-1].number, images=images, reached=parts[-1].upto)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Every image of the run is decided, and `expected` distinct indexes were sent."""

    run: str
    expected: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What the text workers know of a run; `workers.ending` says what follows from it.

    `expected` is what the end says that has come last, None before one; `foreign_end` says that an
    end mark without a count has come. `done` has `by_hand` in it, images that no end counts, and
    the `known` ones, for which nothing was paid.
    """

    done: int
    with_text: int
    failed: int
    expected: int | None = None
    foreign_end: bool = False
    by_hand: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many images are decided, have a label, failed, were known without paying; and how many
    parts are done.
    """

    decided: int = 0
    labelled: int = 0
    failed: int = 0
    known: int = 0
    parts: int = 0


BY_HAND = "\x01"


def filed(index: str, by_hand: bool) -> str:
    """Under what the ledgers file an image's result: no index that comes over SQS has such a mark.

    So what somebody asked for by hand is never taken for what a label worker has counted.
    """
    return BY_HAND + index if by_hand else index


def natural_key(index: str) -> str:
    """A text that sorts as people count: 1.jpg, 2.jpg, 10.jpg."""

    def with_length(digits: re.Match[str]) -> str:
        number = digits.group().lstrip("0")
        return f"{len(number):04d}{number}"

    return re.sub(r"[0-9]+", with_length, index)


# --- JSON ---------------------------------------------------------------------------------------

_compact = json.JSONEncoder(separators=(",", ":")).encode
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def as_plain(record: Any) -> Any:
    """The record as JSON's own kinds: dicts, lists, texts and numbers."""
    return _adapter(type(record)).dump_python(record)


def dump(record: Any, kind: Any = None) -> str:
    """The record as compact JSON, in ASCII; of what has no class of its own, say the `kind`."""
    adapter = _adapter(kind or type(record))
    try:
        return adapter.dump_json(record, ensure_ascii=True).decode()
    except PydanticSerializationError:
        # half a surrogate pair has no UTF-8
        return _compact(adapter.dump_python(record))


def load(kind: type[R], text: str) -> R:
    """The record that `dump` made into JSON; raises ValueError when it is none."""
    adapter = _adapter(kind)
    try:
        record: R = adapter.validate_json(text)
    except ValueError:
        # half a surrogate pair is no JSON to everybody
        record = adapter.validate_python(json.loads(text))
    return record
