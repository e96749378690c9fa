"""The parts of a fleet: one worker lists them, whoever is free takes one from the queue, and when
all are done the lister ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import structlog

from workers.errors import WorkerError
from workers.index_queue.batcher import DELETE_LINGER_SECONDS, Batcher
from workers.model import Part
from workers.parts.lister import Lister
from workers.parts.queue import PartMessage
from workers.parts.source import Taken
from workers.services import Fleet, Services
from workers.settings import Settings
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()

# nobody waits long for the end of a run, nor for a part that is sent again
POLL_SECONDS = 1
LISTER_SECONDS = 1.0


class SharedParts:
    """What comes over the parts queue; a part is a worker's once the table says so.

    So a message that comes twice, or late, changes nothing. One that names a part of a living
    worker is deleted: should that die, the lister sends the part again.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        fleet: Fleet,
        of: int | None,
        stop: Stop,
    ) -> None:
        self._run = settings.run
        self._ledger = services.ledger
        self._bucket = services.bucket
        self._queue, self._alive = fleet.parts_queue, fleet.alive
        self._stop = stop
        self._receipts: dict[int, str] = {}
        self._lock = threading.Lock()
        self._deleter = Batcher("deleter", fleet.parts_queue.delete, DELETE_LINGER_SECONDS, stop)
        self._hidden_seconds = settings.visibility_timeout
        lister = Lister(settings, services, fleet, of, stop)
        self._tickers = [
            Ticker("lister", LISTER_SECONDS, lister.go_on, stop),
            Ticker("parts", self._hidden_seconds / 3, self._renew, stop),
        ]

    @property
    def of(self) -> int | None:
        return self._ledger.listed(self._run).total

    def taken(self) -> Iterator[Taken | None]:
        while not self._stop:
            messages = self._queue.receive(1, POLL_SECONDS)
            for message in messages:
                if part := self._take(message):
                    yield part, self._bucket.part(part)
            if not messages:
                if not self._receipts and self._none_left():
                    return
                yield None

    def done(self, number: int) -> None:
        kept = self._ledger.end_part(self._run, number)
        kept.add_done_callback(lambda _: self._ended(number, kept.exception()))

    def close(self) -> None:
        """Gives back what is in hand."""
        for ticker in self._tickers:
            ticker.close()
        with self._lock:
            receipts, self._receipts = self._receipts, {}
        try:
            for number in receipts:
                self._alive.table.take_part(self._run, number, "", self._alive.worker)
            self._queue.hide([*receipts.values()], 0)
        except WorkerError as error:
            # once this worker is dead the lister does it
            log.warning("not given back", error=str(error))
        self._deleter.flush()

    def _take(self, message: PartMessage) -> Part | None:
        """The part of a message, if it is for this worker now."""
        number = message.number
        part = None if number is None else self._alive.table.part(self._run, number)
        if part and self._claim(part):
            with self._lock:
                before = self._receipts.get(part.number)
                self._receipts[part.number] = message.receipt
            if before is None:
                return part
            # this worker was taken for dead, and goes on with it: each image is counted once
            self._deleter.put(before)
            return None
        if number is None:
            log.warning("message refused", body=message.body, note="no part of this run")
        # done, or a living worker's, who has another message of it; or another run's, whose lister
        # sends again what the queue has lost
        self._deleter.put(message.receipt)
        return None

    def _claim(self, part: Part) -> bool:
        """Makes a part this worker's, if nobody alive has it."""
        alive, by = self._alive, part.by
        # the lister that has sent it again may know of a death that was not noticed here yet
        is_free = alive.is_free(by) or alive.has_left(by)
        return is_free and alive.table.take_part(self._run, part.number, alive.worker, by)

    def _none_left(self) -> bool:
        listed = self._ledger.listed(self._run)
        if not listed.whole or self._ledger.label_counts(self._run).parts < listed.parts:
            return False
        # the lister ends the run: what that costs is a look at all decisions
        is_lister = listed.lister == self._alive.worker
        return is_lister or self._ledger.run_end(self._run) is not None

    def _renew(self) -> None:
        with self._lock:
            receipts = [*self._receipts.values()]
        self._queue.hide(receipts, self._hidden_seconds)

    def _ended(self, number: int, error: BaseException | None) -> None:
        if error:
            # a living worker keeps the part from all others, and nobody would end the run
            self._stop.fail(error)
            return
        with self._lock:
            receipt = self._receipts.pop(number, None)
        if receipt:
            self._deleter.put(receipt)
