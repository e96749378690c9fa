"""When every image fails for the same reason, it was about all of them.

A failure that may be everybody's (no image can be had, a service that fails all the time) is kept
back until one image has succeeded, here or at another worker. Then it was the image after all;
before, it costs none.
"""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

from workers.errors import OutageError, RunError

T = TypeVar("T")

MOST = 100
# so long others may be at work on an image before something comes of it
SILENT_SECONDS = 10.0


class Suspicion(Generic[T]):
    """What is kept back; `cleared` from the beginning where an earlier start has had a success."""

    def __init__(self, cleared: bool) -> None:
        self._cleared = cleared
        self._kept: list[T] = []
        self._last: RunError | OutageError | None = None
        self._heard, self._heard_at = -1, 0.0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def success(self, *items: T) -> list[T]:
        """What may be kept now that images have succeeded: these, and all before them."""
        with self._lock:
            self._cleared = True
            free, self._kept = [*self._kept, *items], []
            return free

    def failure(
        self, item: T, everybodys: RunError | OutageError | None, by_hand: bool = False
    ) -> list[T]:
        """What may be kept now: this one, or nothing yet; raises when there are very many.

        `everybodys` is what it is when it is not about the image; None where it surely is. One that
        somebody asked for `by_hand` may be anything, and says nothing of the others.
        """
        with self._lock:
            if self._cleared or by_hand or everybodys is None:
                return [item]
            self._kept.append(item)
            self._last = everybodys
            tried = len(self._kept)
        if tried >= MOST:
            self.give_up()
        return []

    def hear(self, done: int, failed: int) -> list[T]:
        """What may be kept now that all workers together have `done` so many, of which so many
        `failed`; raises when nobody has had a success, and for a while nothing has come of anybody.
        """
        if done > failed:
            return self.success()
        now = time.monotonic()
        if done != self._heard:
            self._heard, self._heard_at = done, now
        elif now - self._heard_at >= SILENT_SECONDS:
            self.give_up()
        return []

    def give_up(self) -> None:
        """Raises what is everybody's if something is kept back and nothing more is to come."""
        with self._lock:
            tried, last = len(self._kept), self._last
        if tried and last:
            raise type(last)(
                f"no image could be looked at, {tried} were tried; the last one: {last}. None of "
                "them counts as failed"
            )
