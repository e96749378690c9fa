"""What the workers ask of a recogniser, whoever it is; `rekognition.py` is the one that AWS has."""

from __future__ import annotations

from typing import Protocol

from workers.answer import LabelAnswer, TextAnswer


class Recognizer(Protocol):
    """Looks at images for both workers, from many threads at once.

    `ImageError` says that an image can never succeed, `PassingError` that it may later.
    """

    paid_calls: int
    """How many answers were paid for."""
    throttled_calls: int
    """How many calls were refused as one too many."""

    def labels(self, index: str, etag: str, floor: float) -> LabelAnswer:
        """All labels with at least `floor` percent of an image as it was at `etag`."""

    def text(self, index: str, etag: str) -> TextAnswer:
        """Every line of text in an image as it was at `etag`; "" is whatever it is now."""
