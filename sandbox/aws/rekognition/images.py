"""The image that a request means: its bytes, or an S3 object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.aws.rekognition.eyes.pixels import UnreadableImageError, size
from sandbox.aws.rekognition.refusals import (
    Refusal,
    internal_error,
    invalid_format,
    invalid_parameters,
)
from sandbox.errors import SandboxError

MOST_OBJECT_BYTES = 15 * 1024 * 1024
LEAST_SIDE, MOST_SIDE = 80, 10_000

T = TypeVar("T")

ReadObject = Callable[[dict[str, Any]], bytes]
"""The content of what a request's `S3Object` names, once its weight is checked. Raises Refusal."""


@dataclass(frozen=True)
class Picture:
    """An image's bytes, and the name under which it is counted: its key or its SHA-256."""

    name: str
    data: bytes

    def look(self, look: Callable[[bytes], T]) -> T:
        """What one of the eyes says about it. Raises Refusal when it cannot be looked at."""
        try:
            return look(self.data)
        except UnreadableImageError as error:
            raise invalid_format() from error
        except SandboxError as error:
            raise internal_error(str(error)) from error


def picture_of(operation: str, image: dict[str, Any], read_object: ReadObject) -> Picture:
    """The picture of a request's `Image`. Raises Refusal when it cannot be had or is too large."""
    picture = _picture(image, read_object)
    width, height = picture.look(size)
    if min(width, height) < LEAST_SIDE:
        raise invalid_parameters()
    if operation == "DetectLabels" and max(width, height) > MOST_SIDE:
        raise Refusal(
            "ImageTooLargeException",
            f"Input image dimensions {width} x {height} "
            f"exceed maximum dimension size of {MOST_SIDE} pixels",
        )
    return picture


def check_weight(size: int) -> None:
    """Raises Refusal for an S3 object of more bytes than are looked at."""
    if size > MOST_OBJECT_BYTES:
        raise Refusal("ImageTooLargeException", "Image size is too large")


def _picture(image: dict[str, Any], read_object: ReadObject) -> Picture:
    if len(image) != 1:
        raise invalid_parameters()
    if "Bytes" in image:
        return Picture(hashlib.sha256(image["Bytes"]).hexdigest(), image["Bytes"])
    where = image["S3Object"]
    if not {"Bucket", "Name"} <= where.keys():
        raise invalid_parameters()
    return Picture(where["Name"], read_object(where))
