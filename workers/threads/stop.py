"""One place that knows whether the worker stops, and why."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

import structlog

from workers.errors import START_AGAIN, StoppedError

log = structlog.get_logger()

# a stop is over by then, whatever hangs: systemd waits a little longer
DRAIN_SECONDS = 90.0


class Stop:
    """Set by a signal or by the first error of any thread; every wait of a worker ends with it."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: BaseException | None = None
        self.drained_by = math.inf
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return self.event.is_set()

    def ask(self) -> None:
        """Stops taking new work; what is in flight is finished, until `drained_by` at most."""
        self.drained_by = min(self.drained_by, time.monotonic() + DRAIN_SECONDS)
        self.event.set()

    def fail(self, error: BaseException) -> None:
        """Stops because of `error`; the first one is kept."""
        with self._lock:
            if self.error is None and not isinstance(error, StoppedError):
                self.error = error
        self.ask()

    def sleep(self, seconds: float) -> None:
        """Waits, but raises StoppedError as soon as the worker stops."""
        if self.event.wait(seconds):
            raise StoppedError

    def raise_error(self) -> None:
        """Raises what stopped the worker, if anything did."""
        if self.error is not None:
            raise self.error
        if self:
            raise StoppedError

    def on_signals(self) -> None:
        """The first SIGTERM or SIGINT asks, the second one forces; before any thread starts."""
        signals = {signal.SIGTERM, signal.SIGINT}
        # a handler would interrupt this thread anywhere, even where it holds the lock that `ask` or
        # the log needs; so one thread waits for them, and nobody else gets them
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._hear, args=(signals,), name="signals", daemon=True).start()

    def _hear(self, signals: set[signal.Signals]) -> None:
        while True:
            number = signal.sigwait(signals)
            if self:
                os._exit(START_AGAIN)
            self.ask()
            # apart: who reads the log may be slow, and the second signal does not wait for that
            threading.Thread(
                target=log.info,
                args=("stopping",),
                kwargs={
                    "signal": signal.Signals(number).name,
                    "note": "finishing what is in flight",
                },
            ).start()
