"""How fast a worker is, and how long it will take for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Measured from a worker's start; `done_before` images were done by earlier starts."""

    def __init__(self, done_before: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._done_before = done_before
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._began

    def fields(self, done: int, of: int | None) -> dict[str, float | int | None]:
        """The fields of a progress line; `of` is None while nobody knows how many there are."""
        rate = (done - self._done_before) / self.seconds
        left = max(0, of - done) / rate if rate and of is not None else None
        return {
            "per_second": round(rate, 1),
            "seconds_left": None if left is None else round(left),
        }
