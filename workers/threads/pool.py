"""Threads that work on images, and never more of them than there are slots."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec

from workers.threads.stop import Stop

P = ParamSpec("P")


class BoundedPool:
    """`threads` threads, and room for `backlog` more images that wait for one."""

    def __init__(self, threads: int, stop: Stop, backlog: int = 0) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="image")
        self._slots = threads + backlog
        self._held = self._wanted = 0
        self._stop = stop
        self._closing = False
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """How many images are in it."""
        return self._held

    @property
    def is_full(self) -> bool:
        """Whether one more would have to wait."""
        return self._held >= self._slots

    def wait_for_room(self, least: int = 1) -> int:
        """Waits for `least` free slots and returns how many there are: 0 when the worker stops."""
        with self._changed:
            self._wanted = least
            while self._slots - self._held < least and not self._stop:
                self._changed.wait(0.2)
            self._wanted = 0
            return 0 if self._stop else self._slots - self._held

    def wait_for_change(self, seconds: float) -> None:
        """Waits until an image is done, or so many seconds."""
        with self._changed:
            self._changed.wait(seconds)

    def wait_until_idle(self) -> None:
        """Waits until no image is left in it."""
        with self._changed:
            while self._held:
                self._changed.wait(0.2)

    def submit(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Has a thread call it; what it raises stops the worker. Room must have been waited for.

        Once the threads end, it is called at once.
        """
        work = partial(function, *args, **kwargs)
        with self._changed:
            self._held += 1
        try:
            self._executor.submit(self._run, work)
        except RuntimeError:
            # else there is no thread to be had, and one of the others comes to it
            if not self._closing:
                raise
            self._run(work)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._stop.fail(error)
        finally:
            with self._changed:
                self._held -= 1
                # who waits for ten is not woken nine times before
                if self._slots - self._held >= self._wanted:
                    self._changed.notify_all()

    def close(self) -> None:
        """Ends the threads once what they work on is done."""
        self._closing = True
        self._executor.shutdown(wait=True)
