"""Items gathered into batches, as SQS takes them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from workers.errors import StoppedError
from workers.threads.stop import Stop

BATCH = 10
# of SQS's 1 MiB a request; what is left over covers the envelope
BATCH_BYTES = 200_000
# nothing hurries a delete, so that it may wait for nine others
DELETE_LINGER_SECONDS = 1.0
# how soon a full batch is noticed
GATHER_SECONDS = 0.01
# how soon a flush notices that the worker has failed
FLUSH_SECONDS = 0.05


class Batcher:
    """Gathers items and hands them on in batches: full, or as old as the linger, or at the flush.

    `hand_on` gets 1 to 10 items, in one of `threads` threads.
    """

    def __init__(
        self,
        name: str,
        hand_on: Callable[[list[Any]], None],
        linger_seconds: float,
        stop: Stop,
        threads: int = 1,
    ) -> None:
        self._items: queue.Queue[Any] = queue.Queue(maxsize=1000)
        self._hand_on = hand_on
        self._linger = linger_seconds
        self._stop = stop
        self._gathering = threading.Lock()
        self._flushing = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, item: Any, size: int = 0) -> None:
        """Adds an item of about `size` bytes; waits while a thousand are before it."""
        entry = item, size, time.monotonic()
        while True:
            try:
                return self._items.put(entry, timeout=0.5)
            except queue.Full:
                if self._stop.error:
                    raise StoppedError from None

    def flush(self) -> None:
        """Returns when everything put before has been handed on, or the worker has failed."""
        self._flushing.set()
        with self._items.all_tasks_done:
            while self._items.unfinished_tasks and not self._stop.error:
                self._items.all_tasks_done.wait(FLUSH_SECONDS)
        self._flushing.clear()

    def _run(self) -> None:
        while True:
            with self._gathering:
                batch = self._gather()
            try:
                if not self._stop.error:
                    self._hand_on(batch)
            except BaseException as error:
                self._stop.fail(error)
            finally:
                for _ in batch:
                    self._items.task_done()

    def _gather(self) -> list[Any]:
        item, size, since = self._items.get()
        batch = [item]
        # from when it was put: it may have been left over by the batch before
        due = since + self._linger
        # asleep, not at the queue: there every item that comes would wake it
        while self._items.qsize() < BATCH - 1 and (left := due - time.monotonic()) > 0:
            if self._flushing.wait(min(left, GATHER_SECONDS)):
                break
        while len(batch) < BATCH and size < BATCH_BYTES:
            try:
                item, more, _ = self._items.get_nowait()
            except queue.Empty:
                break
            batch.append(item)
            size += more
        return batch
