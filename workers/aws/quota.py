"""A quota is held, not hit: calls are spaced so that the service has no reason to refuse one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from workers.threads.stop import Stop

# what is left over covers the clocks of the service and of the other workers
SHARE_OF_QUOTA = 0.98
CREDIT_SECONDS = 0.1
REFUSAL_SECONDS = 0.3
# of the full rate
SLOWEST = 0.01
# how soon it is noticed that there is a share again
NO_SHARE_SECONDS = 0.1


def whole() -> float:
    """The share of who is alone."""
    return 1.0


class Quota:
    """A token bucket that holds `CREDIT_SECONDS` worth of calls, shared by a worker's threads.

    Of the account's quota it has a `share`, from 0 to 1, which changes with a fleet. It begins at
    half the rate, because the worker before this one may have used the second's quota, and is at
    the full one after two seconds. When the service throttles all the same, because the
    account's quota is smaller or others use it too, it halves its rate and comes back slowly.
    """

    def __init__(
        self,
        calls_per_second: float,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = whole,
    ) -> None:
        self._quota = calls_per_second * SHARE_OF_QUOTA
        self._share = share
        self._rate = self.full_rate / 2
        # of the full rate, in a second
        self._gain = 1 / 4
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._line = threading.Lock()
        self._updated = self._next_call = clock()
        self._slowed = float("-inf")
        # seconds so far in which somebody waited for one
        self._without_share = 0.0

    @property
    def full_rate(self) -> float:
        """Calls a second that this worker may make, when nobody refuses them."""
        return self._quota * self._share()

    @property
    def rate(self) -> float:
        """Calls a second that are let through now."""
        return self._rate

    def wait(self) -> float:
        """Returns when the next call may be made, and for how many seconds there was no share.

        Raises StoppedError when the worker stops.
        """
        before = self._without_share
        # one by one: a turn given out early would be at the rate of that time
        with self._line:
            while not (full_rate := self.full_rate):
                began = self._clock()
                self._stop.sleep(NO_SHARE_SECONDS)
                self._without_share += self._clock() - began
            with self._lock:
                now = self._clock()
                gained = full_rate * self._gain * (now - self._updated)
                # who had no share until now has a rate of next to nothing
                slowest = full_rate * SLOWEST
                self._rate = min(full_rate, max(slowest, self._rate + gained))
                self._updated = now
                turn = max(self._next_call, now - CREDIT_SECONDS)
                self._next_call = turn + 1 / self._rate
            self._stop.sleep(max(0.0, turn - now))
            return self._without_share - before

    def throttled(self) -> None:
        """The service refused a call as one too many: go slower."""
        with self._lock:
            now = self._clock()
            # a refusal of a call that was made before the last slowing says nothing new
            if now - self._slowed >= REFUSAL_SECONDS:
                self._rate = max(self._rate / 2, self.full_rate * SLOWEST)
                self._gain = 1 / 20
                self._slowed = now
