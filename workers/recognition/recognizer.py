"""What the workers ask of a recogniser, whoever it is; `rekognition.py` is the one that AWS has."""

from __future__ import annotations

from typing import Protocol

from workers.model import Label, TextLine


class Recognizer(Protocol):
    """Looks at images for both workers, from many threads at once.

    `ImageError` says that an image can never succeed, `PassingError` that it may later.
    """

    paid_calls: int
    """How many answers were paid for."""
    throttled_calls: int
    """How many calls were refused as one too many."""

    def label(self, index: str) -> Label | None:
        """The label that is looked for, when the image has it with enough confidence."""

    def lines(self, index: str, etag: str) -> tuple[TextLine, ...]:
        """The lines of text in an image as it was at `etag`, from top to bottom."""
