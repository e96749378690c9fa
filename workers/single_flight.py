"""Single flight: copies of a picture that are in flight together are asked about once."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Generic, TypeVar

from workers.model import Picture

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Of each picture one leads, and the others wait for what it finds out."""

    def __init__(self) -> None:
        self._flights: defaultdict[Picture, list[T]] = defaultdict(list)
        self._lock = threading.Lock()

    def join(self, picture: Picture, item: T) -> bool:
        """Whether it leads; else it is handed to the one that does when that one lands.

        Who leads looks only then whether there is an answer: one that landed before has kept it.
        """
        with self._lock:
            flight = self._flights[picture]
            flight.append(item)
            return len(flight) == 1

    def land(self, picture: Picture, leader: T) -> list[T]:
        """Those that have waited, once an answer is durable or there is none."""
        with self._lock:
            flight = self._flights.get(picture)
            if not flight or flight[0] is not leader:
                return []
            return self._flights.pop(picture)[1:]
