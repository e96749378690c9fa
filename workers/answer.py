"""What Rekognition said of a picture, kept for good; a run is a question that answers are asked.

Labels are packed, for there may be as many answers as pictures: 25 labels with as many boxes take
some 360 bytes, and a question is answered from them in microseconds.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, ClassVar, Self

from pydantic import Field

from workers.model import Box, Label, TextLine, dump, load

# confidences are kept in 1/100,000 percent, so that none moves over a threshold
CONFIDENCE_UNIT = 100_000
# boxes and polygons in 1/20,000 of a side: they may reach over an edge
BOX_UNIT = 20_000
MOST_OFF = 32_767
# the names that are likely, for a packing in which they take next to no room
LIKELY = """\
Accessories,Adult,Alloy Wheel,Animal,Architecture,Art,Asphalt,Automobile,Bicycle,Bird,\
Boat,Bridge,Bumper,Bus,Clothing,Coat,Coupe,Electronics,Face,Food,Footwear,Forest,\
Furniture,Glasses,Grass,Hat,Head,Housing,Human,Indoors,Intersection,Light,Logo,\
Female,Male,Woman,Man,Metropolis,Motorcycle,Neighborhood,Office Building,Outdoors,\
Parking Lot,Path,Pedestrian,Photography,Plant,Portrait,Road Sign,Sedan,Shoe,Sidewalk,\
Sky,Spoke,Sports Car,Suv,Symbol,Tarmac,Taxi,Text,Traffic Light,Tree,Truck,Van,\
Walking,Water,Wildlife,Window,Zebra Crossing,Nature,Building,Town,Urban,City,Street,\
Road,License Plate,Tire,Car Wheel,Wheel,Machine,Person,Transportation,Vehicle,Car"""
_DICTIONARY = LIKELY.replace(",", "\n").encode()
# floor, number of labels, bytes of the names; then confidences, numbers of boxes, names, boxes
_HEAD, _BOX = struct.Struct("<IHH"), struct.Struct("<4h")


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """All labels of a picture with at least `floor` percent, the surest first; `model` saw them.

    One that is `doubtful` may be another picture's: it is for this run, and nobody keeps it.
    """

    KIND: ClassVar[str] = "labels"

    floor: float
    model: str
    labels: tuple[Label, ...]
    doubtful: bool = False

    def pack(self) -> bytes:
        """As few bytes."""
        boxes = [len(label.boxes) for label in self.labels]
        names = "\n".join([self.model, *(label.name for label in self.labels)])
        small = _deflate(names.encode("utf-8", "surrogatepass"))
        confidences = (round(label.confidence * CONFIDENCE_UNIT) for label in self.labels)
        sides = chain.from_iterable(
            (box.left, box.top, box.width, box.height)
            for label in self.labels
            for box in label.boxes
        )
        return b"".join(
            (
                _HEAD.pack(round(self.floor * CONFIDENCE_UNIT), len(boxes), len(small)),
                struct.pack(f"<{len(boxes)}I", *confidences),
                struct.pack(f"<{len(boxes)}H", *boxes),
                small,
                struct.pack(f"<{4 * sum(boxes)}h", *map(_side, sides)),
            )
        )

    @classmethod
    def unpack(cls, data: bytes, wanted: Container[str] | None = None) -> Self:
        """What `pack` made, with all its labels or those that are `wanted`; ValueError if none."""
        try:
            floor, count, length = _HEAD.unpack_from(data)
            numbers = struct.unpack_from(f"<{count}I{count}H", data, _HEAD.size)
            at = _HEAD.size + 6 * count
            text = _inflate(data[at : at + length]).decode("utf-8", "surrogatepass")
            model, *names = text.split("\n")
            if len(names) != count:
                raise ValueError(f"{len(names)} names of {count} labels")
            at += length
            confidences, boxes = numbers[:count], numbers[count:]
            labels = []
            # of most answers one label is wanted: the others cost as little as can be
            for number, name in enumerate(names):
                if wanted is None or name in wanted:
                    first = at + _BOX.size * sum(boxes[:number])
                    found = tuple(_box(data, first + _BOX.size * n) for n in range(boxes[number]))
                    labels.append(Label(name, confidences[number] / CONFIDENCE_UNIT, found))
        except (struct.error, zlib.error, ValueError) as error:
            raise ValueError(f"no packed labels: {error}") from error
        return cls(floor / CONFIDENCE_UNIT, model, tuple(labels))


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """Every line of text in a picture, from top to bottom; `doubtful` as of labels."""

    KIND: ClassVar[str] = "text"
    floor: ClassVar[float] = 0.0

    lines: tuple[TextLine, ...]
    doubtful: Annotated[bool, Field(exclude=True)] = False

    def pack(self) -> bytes:
        """As few bytes."""
        return _deflate(dump(self).encode())

    @classmethod
    def unpack(cls, data: bytes) -> TextAnswer:
        """What `pack` made; raises ValueError when it is none."""
        try:
            return load(cls, _inflate(data).decode())
        except (zlib.error, ValueError) as error:
            raise ValueError(f"no packed text: {error}") from error


@dataclass(frozen=True, slots=True)
class Handed:
    """A label worker with a ledger of its own has handed the picture to a text worker.

    Which keeps what it reads: so the label worker knows what reading still costs.
    """

    KIND: ClassVar[str] = "handed"
    floor: ClassVar[float] = 0.0

    def pack(self) -> bytes:
        """That it is there says all."""
        return b""


Answer = LabelAnswer | TextAnswer | Handed
KINDS = tuple(kind.KIND for kind in (LabelAnswer, TextAnswer, Handed))


def kept_ratio(ratio: float) -> float:
    """A box's ratio as a packed answer has it: a label reads the same, just paid for or known."""
    return _side(ratio) / BOX_UNIT


def _box(data: bytes, at: int) -> Box:
    return Box(*(side / BOX_UNIT for side in _BOX.unpack_from(data, at)))


def _side(ratio: float) -> int:
    return round(max(-MOST_OFF, min(MOST_OFF, ratio * BOX_UNIT)))


def _deflate(data: bytes) -> bytes:
    small = zlib.compressobj(wbits=-zlib.MAX_WBITS, zdict=_DICTIONARY)
    return small.compress(data) + small.flush()


def _inflate(data: bytes) -> bytes:
    whole = zlib.decompressobj(-zlib.MAX_WBITS, _DICTIONARY)
    text = whole.decompress(data)
    if not whole.eof:
        raise ValueError("its end is missing")
    return text
