"""What the page has of each picture: a small JPEG, or why there is none."""

from __future__ import annotations

import base64
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

from PIL import ExifTags, Image

A = TypeVar("A")
B = TypeVar("B")

QUALITY = 70
# a picture with more pixels, unless it is a JPEG that can be read smaller, is made small alone
MANY_PIXELS = 12_000_000
# such a JPEG has one scan, and perhaps one of its own thumbnail; a progressive one, with ten or so,
# is read whole for each
START_OF_SCAN = b"\xff\xda"
FEW_SCANS, MOST_SCANS = 2, 100
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
MISSING, UNREADABLE = "!missing", "!unreadable"

# Pillow refuses what has twice as many pixels
Image.MAX_IMAGE_PIXELS = 100_000_000
_large = threading.Lock()
# by EXIF's number; 1 is upright
TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def thumbnail(data: bytes | None, side: int) -> str:
    """A picture's entry in the page: width, height, JPEG in base 64; or that there is none.

    `side` is the longer side in pixels; a smaller picture stays as it is.
    """
    if data is None:
        return MISSING
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            scans = data.count(START_OF_SCAN)
            if opened.format == "JPEG" and scans > MOST_SCANS:
                return UNREADABLE
            is_read_smaller = opened.format == "JPEG" and scans <= FEW_SCANS
            is_large = not is_read_smaller and opened.width * opened.height > MANY_PIXELS
            with _large if is_large else nullcontext():
                opened.thumbnail((side, side), reducing_gap=2.0)
            # Rekognition turns a JPEG by its EXIF, and its boxes are those of the turned one
            turned = opened.format in {"JPEG", "MPO"}
            picture = on_white(upright(opened) if turned else opened)
    except Exception:
        # the bytes are anybody's, and over what is broken Pillow raises whatever comes
        return UNREADABLE
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    encoded = base64.b64encode(file.getvalue()).decode()
    return f"{picture.width} {picture.height} {encoded}"


def upright(picture: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says, whatever else is wrong with its EXIF."""
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        # as above
        return picture
    return picture if turn is None else picture.transpose(turn)


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB, what is transparent of it white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def map_in_order(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`map` in threads, never more than a few items ahead of who takes the answers."""
    threads = 4 + 2 * (os.cpu_count() or 1)
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbnail") as executor:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
