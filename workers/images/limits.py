"""Limits that an image breaks as far as is known without a paid call: by its listing, its bytes."""

from __future__ import annotations

import io

import imagesize

from workers.index_queue.messages import unsendable
from workers.model import Image
from workers.settings import ImageSource

# https://docs.aws.amazon.com/rekognition/latest/dg/limits.html
MAX_OBJECT_BYTES = 15 * 1024 * 1024
MAX_INLINE_BYTES = 5 * 1024 * 1024
# what is larger costs the text worker more of its network than of its time
MAX_AUTO_BYTES = 1_000_000
MIN_SIDE = 80
MAX_LABEL_SIDE = 10_000


def most_inline(source: ImageSource) -> int:
    """The size in bytes up to which an image is downloaded and sent; others go by reference."""
    return {"s3": 0, "auto": MAX_AUTO_BYTES, "bytes": MAX_INLINE_BYTES}[source]


def unfit(image: Image) -> str | None:
    """Why an image cannot be looked at, as far as its listing tells; None where it may be."""
    return image.problem or unsendable(image.index) or broken_size(image.size)


def broken_size(size: int) -> str | None:
    """The limit that an object of so many bytes breaks, if any."""
    if size == 0:
        return "empty: the object has no bytes"
    if size > MAX_OBJECT_BYTES:
        return f"too large: {size / 2**20:.1f} MB, Rekognition takes 15 MB at most"
    return None


def broken_content(data: bytes, max_side: int | None = None) -> str | None:
    """The limit that an image breaks by its first bytes, if any.

    `max_side` in pixels is the longest side allowed (label detection has one).
    """
    if not data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return "wrong format: neither JPEG nor PNG by its content"
    try:
        width, height = imagesize.get(io.BytesIO(data))
    except (ValueError, EOFError, OSError, IndexError):
        return None  # Rekognition will judge
    if 0 < min(width, height) < MIN_SIDE:
        return f"too small: {width} x {height} pixels, Rekognition wants {MIN_SIDE} a side"
    if max_side and max(width, height) > max_side:
        return f"too large: {width} x {height} pixels, {max_side} a side at most"
    return None
