"""What a worker does now and then, beside its images."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workers.threads.stop import Stop


class Ticker:
    """Calls `function` every `seconds` in a thread of its own until it is closed."""

    def __init__(self, name: str, seconds: float, function: Callable[[], None], stop: Stop) -> None:
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(seconds, function, stop), name=name, daemon=True
        )
        self._thread.start()

    def _run(self, seconds: float, function: Callable[[], None], stop: Stop) -> None:
        while not self._closed.wait(seconds):
            try:
                function()
            except Exception as error:
                stop.fail(error)
                return

    def close(self) -> None:
        """Ends it; a call that is under way is waited for."""
        self._closed.set()
        self._thread.join()
