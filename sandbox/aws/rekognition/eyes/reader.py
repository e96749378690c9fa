"""What an image says: RapidOCR, a line at a time, cut into words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sandbox.aws.rekognition.eyes.pixels import Point, decode

SIDE_LEAST, SIDE_MOST = 480, 2000
SCORE = 0.5
# Rekognition reads Latin, Cyrillic and Arabic; the reader here sees Chinese in trees
LAST_SIGN = "\u06ff"
# else onnxruntime keeps a number for this person in the home, and tells Microsoft of what it does;
# it looks when it is imported: https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@dataclass(frozen=True)
class Word:
    """A word of a line, its confidence in percent, its corners clockwise from the top left."""

    text: str
    confidence: float
    polygon: tuple[Point, ...]


@dataclass(frozen=True)
class Line(Word):
    """A line of text, with the words that make it up."""

    words: tuple[Word, ...]


def load() -> Any:
    """A reader for one thread at a time."""
    from rapidocr import RapidOCR  # noqa: PLC0415 - takes most of a second, and labels need none

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": SCORE,
            "Global.use_preprocess_img": False,
            "Global.use_cls": False,
            "Det.limit_type": "min",
            "Det.limit_side_len": SIDE_LEAST,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def read(reader: Any, image: bytes) -> tuple[Line, ...]:
    """Reads `image`, from top to bottom. Raises UnreadableImageError."""
    page, width, height = _page(image)
    found = reader(page)
    if not found.txts:
        return ()
    corners = np.clip(found.boxes / (width, height), 0.0, 1.0)
    return tuple(
        _line(text, float(score) * 100, tuple((float(x), float(y)) for x, y in polygon))
        for text, score, polygon in zip(found.txts, found.scores, corners, strict=True)
        if any(sign.isalnum() and sign <= LAST_SIGN for sign in text)
    )


def _page(image: bytes) -> tuple[NDArray[np.uint8], int, int]:
    """Brings the image to a size that the reader takes as it is; width and height without margin.

    The reader's own way to do that fails for, or blows up, what is much longer than wide.
    """
    picture = Image.fromarray(decode(image, SIDE_MOST))
    wanted = max(1.0, SIDE_LEAST / min(picture.size))
    scale = min(wanted, SIDE_MOST / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    page = Image.new("RGB", (max(width, SIDE_LEAST), max(height, SIDE_LEAST)))
    page.paste(picture.resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(page)[:, :, ::-1], width, height


def _line(text: str, sure: float, polygon: tuple[Point, ...]) -> Line:
    text = " ".join(text.split())
    return Line(text, sure, polygon, tuple(_words(text, sure, polygon)))


def _words(text: str, sure: float, polygon: Sequence[Point]) -> Iterator[Word]:
    """Cuts a line's quadrangle where its spaces are, as if all letters were equally wide."""
    top_left, top_right, bottom_right, bottom_left = polygon
    begin = 0
    for word in text.split(" "):
        start, end = begin / len(text), (begin + len(word)) / len(text)
        yield Word(
            word,
            sure,
            (
                _between(top_left, top_right, start),
                _between(top_left, top_right, end),
                _between(bottom_left, bottom_right, end),
                _between(bottom_left, bottom_right, start),
            ),
        )
        begin += len(word) + 1


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
