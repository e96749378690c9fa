"""Single flight: copies of a picture that are in flight together are asked about once."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

from workers.model import Picture

T = TypeVar("T")

# by then each read of a fleet's table shows what was written, not only a consistent one
SHOWN_SECONDS = 10.0


class SingleFlight(Generic[T]):
    """Of each picture one leads, and the others wait for what it finds out."""

    def __init__(self) -> None:
        self._flights: defaultdict[Picture, list[T]] = defaultdict(list)
        # when each of which an answer was kept did land, the oldest first
        self._landed: dict[Picture, float] = {}
        self._lock = threading.Lock()

    def join(self, picture: Picture, item: T) -> bool:
        """Whether it leads; else it is handed to the one that does when that one lands.

        Who leads looks only then whether there is an answer: one that landed before has kept it.
        """
        with self._lock:
            flight = self._flights[picture]
            flight.append(item)
            return len(flight) == 1

    def land(self, picture: Picture, leader: T, just_kept: bool = False) -> list[T]:
        """Those that have waited, once an answer is durable or there is none."""
        with self._lock:
            flight = self._flights.get(picture)
            if not flight or flight[0] is not leader:
                return []
            if just_kept:
                self._note(picture, time.monotonic())
            return self._flights.pop(picture)[1:]

    def just_kept(self, pictures: Iterable[Picture]) -> set[Picture]:
        """Those about which an answer may have been kept a moment ago; to be asked by who leads."""
        return {picture for picture in pictures if picture in self._landed}

    def _note(self, picture: Picture, now: float) -> None:
        self._landed.pop(picture, None)
        self._landed[picture] = now
        while now - self._landed[oldest := next(iter(self._landed))] > SHOWN_SECONDS:
            del self._landed[oldest]
