"""Every attempt of a call ends: what takes too long has its connection cut.

The timeout of a socket begins anew with every byte, so an answer that trickles never meets it.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool

from workers.threads.stop import Stop

# time enough for 5 MB over a slow line
ATTEMPT_SECONDS = 60.0
LOOK_SECONDS = 0.5


class _Attempt:
    """One attempt, in one thread, and the sockets that it waited at."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._ends = math.inf
        self._sockets: list[socket.socket] = []

    def wait_at(self, sock: socket.socket) -> None:
        """From here on it waits for an answer; before, perhaps, for its turn."""
        self._sockets.append(sock)
        self._ends = time.monotonic() + ATTEMPT_SECONDS

    @property
    def overdue(self) -> bool:
        return time.monotonic() > min(self._ends, self._stop.drained_by)

    def cut(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                # an SSL socket's own shutdown is not for another thread
                socket.socket.shutdown(each, socket.SHUT_RDWR)


class _Watch:
    """Looks after all attempts of the process; its thread begins with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[_Attempt] = set()
        self._thread: threading.Thread | None = None
        self.of_thread = threading.local()

    def begin(self, attempt: _Attempt) -> None:
        with self._lock:
            self._under_way.add(attempt)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="deadline", daemon=True)
                self._thread.start()
        self.of_thread.attempt = attempt

    def end(self, attempt: _Attempt) -> None:
        self.of_thread.attempt = None
        with self._lock:
            self._under_way.discard(attempt)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                overdue = [attempt for attempt in self._under_way if attempt.overdue]
            for attempt in overdue:
                attempt.cut()


_watch = _Watch()


@contextmanager
def deadline(stop: Stop) -> Iterator[None]:
    """Bounds what this thread does with AWS meanwhile, and more closely when the worker stops."""
    attempt = _Attempt(stop)
    _watch.begin(attempt)
    try:
        yield
    finally:
        _watch.end(attempt)


class _Watched:
    """A connection that says which attempt waits at it."""

    sock: socket.socket

    def getresponse(self) -> Any:
        if attempt := getattr(_watch.of_thread, "attempt", None):
            attempt.wait_at(self.sock)
        return super().getresponse()  # type: ignore[misc]


def watch_connections() -> None:
    """Has the SDK use connections that are watched."""
    for pool in (AWSHTTPConnectionPool, AWSHTTPSConnectionPool):
        kind = pool.ConnectionCls
        if not issubclass(kind, _Watched):
            pool.ConnectionCls = type(kind.__name__, (_Watched, kind), {})
