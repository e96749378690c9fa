"""What the workers speak of, in the field's words; no AWS shape gets past these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Image:
    """An object of the bucket: its index is its key, `size` in bytes."""

    index: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box as ratios (0 to 1) of the image's width and height."""

    left: float
    top: float
    width: float
    height: float

    # by hand, here and below: dataclasses.asdict copies every number, at ten times the cost
    def as_dict(self) -> dict[str, float]:
        """The box as JSON has it."""
        return {"left": self.left, "top": self.top, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True)
class Label:
    """A label that an image has, `confidence` in percent, and where its instances are."""

    name: str
    confidence: float
    boxes: tuple[Box, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The label as JSON has it."""
        boxes = [box.as_dict() for box in self.boxes]
        return {"name": self.name, "confidence": self.confidence, "boxes": boxes}


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in an image: `confidence` in percent, `polygon` as (x, y) ratios."""

    text: str
    confidence: float
    polygon: tuple[tuple[float, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The line as JSON has it."""
        return {"text": self.text, "confidence": self.confidence, "polygon": self.polygon}


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """What the label worker found out about an image.

    `label` is set when the image has it with enough confidence, `failure` when it can never be
    looked at; `etag` is that of the object that was looked at.
    """

    run: str
    shard: int
    index: str
    etag: str = ""
    label: Label | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class TextResult:
    """What the text worker found out about an image with the label.

    `time` is when, in ISO 8601 and UTC; empty where nobody noted it.
    """

    run: str
    index: str
    label: Label | None = None
    lines: tuple[TextLine, ...] = ()
    failure: str | None = None
    time: str = ""


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """Shard `shard` of `shards` is done and has sent `expected` distinct indexes."""

    run: str
    shard: int
    shards: int
    expected: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far the text workers are with a run.

    `expected` is the sum over the shards that have ended; `all_ended` says that no shard is
    missing from it; `foreign_end` that an end mark without a count has come.
    """

    done: int
    with_text: int
    failed: int
    expected: int
    all_ended: bool
    foreign_end: bool

    @property
    def counted_out(self) -> bool:
        """Every shard has ended and every image that they count is done."""
        return self.all_ended and self.done >= self.expected


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many images of a shard are decided, how many have the label, how many failed."""

    decided: int
    labelled: int
    failed: int


def natural_key(index: str) -> str:
    """A text that sorts as people count: 1.jpg, 2.jpg, 10.jpg."""

    def with_length(digits: re.Match[str]) -> str:
        number = digits.group().lstrip("0")
        return f"{len(number):04d}{number}"

    return re.sub(r"[0-9]+", with_length, index)
