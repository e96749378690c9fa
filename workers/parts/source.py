"""What the label worker asks of whoever gives it parts of the listing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from workers.model import Image, Part

Taken = tuple[Part, list[Image]]


class PartSource(Protocol):
    """A run's parts as one worker comes by them."""

    @property
    def of(self) -> int | None:
        """How many images the run has, None while nobody knows."""

    def taken(self) -> Iterator[Taken | None]:
        """The parts to be worked on, each with its images; None while others have all that are
        left. It ends when none is left at all, or the worker stops.
        """

    def done(self, number: int) -> None:
        """Hears that all images of a part are decided, and that SQS has its indexes."""

    def close(self) -> None:
        """Leaves what is not done to others."""
