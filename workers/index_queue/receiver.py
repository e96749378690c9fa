"""Receives messages; from a long queue in several requests at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import Received
from workers.index_queue.queue import IndexQueue

# one request brings ten messages in some 30 ms, which is less than a quota of 400 calls/s takes
MOST_AT_ONCE = 4


class Receiver:
    """Asks for one batch more at a time while every batch comes full, else for one."""

    def __init__(self, index_queue: IndexQueue, poll_seconds: int) -> None:
        self._queue = index_queue
        self._poll_seconds = poll_seconds
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="receive")
        self._at_once = 1

    def receive(self, room: int) -> list[Received]:
        """Up to `room` messages (ten at least); raises what `IndexQueue.receive` does."""
        at_once = min(self._at_once, max(1, room // BATCH))
        self._at_once = 1
        if at_once > 1:
            batches = self._several(at_once)
        else:
            batches = [self._queue.receive(BATCH, self._poll_seconds)]
        if [len(batch) for batch in batches] == [BATCH] * at_once:
            self._at_once = min(at_once + 1, MOST_AT_ONCE)
        return [message for batch in batches for message in batch]

    def _several(self, number: int) -> list[list[Received]]:
        # without a wait: what one has brought would wait for the others
        asked = [self._threads.submit(self._queue.receive, BATCH, 0) for _ in range(number)]
        brought = [future.result() for future in asked if not future.exception()]
        # what fails for good fails again, with nothing in hand that would be lost with it
        return brought or [asked[0].result()]
