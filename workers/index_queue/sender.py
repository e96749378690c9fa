"""The label worker's way to the index queue: what it finds is sent at once, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from workers.index_queue.batcher import Batcher
from workers.index_queue.messages import image_entry
from workers.index_queue.queue import IndexQueue
from workers.model import Decision
from workers.threads.stop import Stop

# one request under way never keeps the next batch waiting
SENDERS = 4


class IndexSender:
    """Puts decisions on the queue as soon as they are made; `acknowledged` gets what SQS has."""

    def __init__(
        self,
        index_queue: IndexQueue,
        acknowledged: Callable[[list[Decision]], object],
        linger_seconds: float,
        stop: Stop,
    ) -> None:
        self._queue = index_queue
        self._acknowledged = acknowledged
        self._batcher = Batcher("sender", self._send, linger_seconds, stop, SENDERS)

    def send(self, decision: Decision) -> None:
        """Takes a decision; it leaves within the linger."""
        entry = image_entry(decision)
        self._batcher.put((decision, entry), len(str(entry)))

    def send_all(self, decisions: Iterable[Decision]) -> None:
        """Takes many decisions and waits until SQS has them."""
        for decision in decisions:
            self.send(decision)
        self.flush()

    def flush(self) -> None:
        """Returns when SQS has everything, or the worker has failed."""
        self._batcher.flush()

    def _send(self, batch: list[tuple[Decision, dict[str, Any]]]) -> None:
        self._queue.send([entry for _, entry in batch])
        self._acknowledged([decision for decision, _ in batch])
