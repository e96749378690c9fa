"""An image's pixels, upright; and how to say where on it something is: in ratios of its sides."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from console.report.thumbnails import on_white, upright

Point = tuple[float, float]

# the limits are the service's business, and checked by its size
Image.MAX_IMAGE_PIXELS = None
MOST_PIXELS = 200_000_000


@dataclass(frozen=True)
class Box:
    """A rectangle, in ratios of the image's width and height."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def around(cls, points: Sequence[Point]) -> Self:
        """The smallest one that holds them all."""
        xs, ys = zip(*points, strict=True)
        return cls(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))

    def holds(self, x: float, y: float) -> bool:
        right, bottom = self.left + self.width, self.top + self.height
        return self.left <= x <= right and self.top <= y <= bottom

    def as_json(self) -> dict[str, float]:
        """A BoundingBox of Rekognition's."""
        return {"Width": self.width, "Height": self.height, "Left": self.left, "Top": self.top}


class UnreadableImageError(Exception):
    """The bytes are not a whole JPEG or PNG."""


def size(image: bytes) -> tuple[int, int]:
    """Reads width and height in pixels, as stored, from the header. Raises UnreadableImageError."""
    with _opened(image) as picture:
        return picture.size


def decode(image: bytes, side: int) -> NDArray[np.uint8]:
    """Decodes to upright RGB; a large JPEG only as finely as `side` pixels a side need.

    Raises UnreadableImageError.
    """
    with _opened(image) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise UnreadableImageError("more pixels than this machine would like to hold")
        picture.draft("RGB", (side, side))
        # Rekognition turns a JPEG by its EXIF orientation and leaves a PNG as it is
        turned = picture if picture.format == "PNG" else upright(picture)
        return np.asarray(on_white(turned))


@contextmanager
def _opened(image: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(image), formats=("JPEG", "PNG")) as picture:
            yield picture
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(str(error)) from error
