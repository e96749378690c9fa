"""What the text worker holds in its hands: a heartbeat keeps it hidden from other workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from workers.index_queue.messages import Received
from workers.index_queue.queue import IndexQueue

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Held:
    """An image in flight; `receipts` are those of its message and of all duplicates of it."""

    message: Received
    since: float
    renewed: float
    receipts: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """Run and index: what makes two messages duplicates."""
        return self.message.run, self.message.filed


class InFlight:
    """The images in flight: each is taken once, however many duplicates of its message come.

    An image is hidden from others for `visibility_timeout` seconds from its receive, and again from
    each renewal. One that is held longer than `longest` seconds is let go: whatever hangs there,
    the image comes again to whoever is free. `let_go` hears of it.
    """

    def __init__(
        self,
        index_queue: IndexQueue,
        visibility_timeout: int,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
        let_go: Callable[[Held], object] = lambda _: None,
    ) -> None:
        self._queue = index_queue
        self._timeout = visibility_timeout
        self._longest = longest
        self._clock = clock
        self._let_go = let_go
        self._held: dict[tuple[str, str], Held] = {}
        self._lock = threading.Lock()
        self._renewing = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def of_run(self, run: str) -> int:
        """How many are of this run."""
        with self._lock:
            return sum(of == run for of, _ in self._held)

    def take(self, message: Received) -> Held | None:
        """Holds an image; None for a duplicate of one that is held, which then gets its receipt."""
        now = self._clock()
        new = Held(message, now, now)
        with self._lock:
            held = self._held.setdefault(new.key, new)
            held.receipts.append(message.receipt)
        return new if held is new else None

    def leave(self, held: Held) -> list[str]:
        """Lets go of an image that is done or given up; returns its receipts.

        Its result must be in the ledger by then: a duplicate that comes later looks there.
        """
        with self._lock:
            if self._held.get(held.key) is held:
                del self._held[held.key]
            return held.receipts

    def give_back(self, held: Held, delay: int) -> None:
        """Leaves an image to a redelivery, `delay` seconds from now; 0 is at once.

        One that was let go is another worker's by now, perhaps.
        """
        if self._held.get(held.key) is not held:
            return
        receipts = self.leave(held)
        # a renewal that is under way would overwrite the delay
        with self._renewing:
            self._queue.hide(receipts, delay)

    def renew(self) -> None:
        """The heartbeat, every third of the timeout: hides again what was not for as long."""
        # before: what is let go may give back a copy of it, and that waits for a renewal
        self._let_go_of_what_hangs()
        with self._renewing:
            now = self._clock()
            with self._lock:
                due = [h for h in self._held.values() if now - h.renewed >= self._timeout / 3]
                receipts = [receipt for held in due for receipt in held.receipts]
            self._queue.hide(receipts, self._timeout)
            for held in due:
                held.renewed = now

    def _let_go_of_what_hangs(self) -> None:
        now = self._clock()
        with self._lock:
            hanging = [h for h in self._held.values() if now - h.since > self._longest]
            for held in hanging:
                del self._held[held.key]
        for held in hanging:
            log.error(
                "let go",
                run=held.message.run,
                index=held.message.index,
                seconds=round(now - held.since),
                note="it hangs in this worker, and comes again to whoever is free",
            )
            self._let_go(held)
