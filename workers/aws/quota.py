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


class Quota:
    """A token bucket that holds `CREDIT_SECONDS` worth of calls, shared by a worker's threads.

    It begins at half the rate, because the worker before this one may have used the second's quota,
    and is at the full one after two seconds. When the service throttles all the same, because the
    account's quota is smaller or others use it too, it halves its rate and comes back slowly.
    """

    def __init__(
        self,
        calls_per_second: float,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.full_rate = calls_per_second * SHARE_OF_QUOTA
        self._rate = self.full_rate / 2
        self._gain = self.full_rate / 4
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._line = threading.Lock()
        self._updated = self._next_call = clock()
        self._slowed = float("-inf")

    @property
    def rate(self) -> float:
        """Calls a second that are let through now."""
        return self._rate

    def wait(self) -> None:
        """Returns when the next call may be made; raises StoppedError when the worker stops."""
        # one by one: a turn given out early would be at the rate of that time
        with self._line:
            with self._lock:
                now = self._clock()
                self._rate = min(self.full_rate, self._rate + self._gain * (now - self._updated))
                self._updated = now
                turn = max(self._next_call, now - CREDIT_SECONDS)
                self._next_call = turn + 1 / self._rate
            self._stop.sleep(max(0.0, turn - now))

    def throttled(self) -> None:
        """The service refused a call as one too many: go slower."""
        with self._lock:
            now = self._clock()
            # a refusal of a call that was made before the last slowing says nothing new
            if now - self._slowed >= REFUSAL_SECONDS:
                self._rate = max(self._rate / 2, self.full_rate / 100)
                self._gain = self.full_rate / 20
                self._slowed = now
