"""Who lists for a fleet: one of its label workers, and when that is dead, another."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace

import structlog

from workers.errors import NotListerError
from workers.model import Listed, Part
from workers.services import Fleet, Services
from workers.settings import Settings
from workers.threads.stop import Stop

log = structlog.get_logger()

# a part is what the account's quota takes in a second: the last ones of a run end together
LEAST_IMAGES, MOST_IMAGES = 20, 1000
# kept and sent at once
PARTS_AT_ONCE = 20
# how often it is looked whether the queue has lost parts
LOST_SECONDS = 10.0


class Lister:
    """Goes on with the listing where it is, if nobody alive does.

    What is listed is in the table before it is on the queue. What nobody alive has in hand is sent
    again: all of it by a new lister, a dead worker's parts at once, and what the queue has lost.
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
        self._images = min(max(LEAST_IMAGES, math.ceil(settings.quota)), MOST_IMAGES)
        self._ledger = services.ledger
        self._bucket = services.bucket
        self._queue, self._alive = fleet.parts_queue, fleet.alive
        self._of = of
        self._stop = stop
        self._seen_alive: set[str] = set()
        self._look_again = 0.0

    def go_on(self) -> None:
        """Does what there is to do for a lister, if this worker is the one."""
        listed, living = self._ledger.listed(self._run), self._alive.living()
        worker = self._alive.worker
        if listed.lister != worker:
            if not self._alive.is_free(listed.lister):
                return
            if not self._alive.table.take_listing(self._run, worker, listed.lister):
                return
            log.info("lists from here", parts=listed.parts, whole=listed.whole)
            # read again: the one before may have gone on until now
            listed = self._ledger.listed(self._run)
            self._send_again(self._ledger.open_parts(self._run))
        try:
            if not listed.whole:
                self._list(listed if listed.parts else replace(listed, of=self._of))
            self._send_what_is_lost(living)
        except NotListerError:
            # it was taken for dead
            return

    def _list(self, listed: Listed) -> None:
        parts: list[Part] = []
        for part, _ in self._bucket.parts(listed, self._images):
            parts.append(part)
            listed = listed.behind(part)
            if len(parts) == PARTS_AT_ONCE or sum(each.images for each in parts) >= MOST_IMAGES:
                self._put(parts, listed)
                parts = []
            if self._stop:
                return
        self._put(parts, replace(listed, whole=True))

    def _put(self, parts: list[Part], listed: Listed) -> None:
        self._ledger.list_parts(self._run, parts, listed).result()
        self._queue.send_parts([part.number for part in parts])

    def _send_what_is_lost(self, living: set[str]) -> None:
        dead, self._seen_alive = self._seen_alive - living, living
        if dead:
            theirs = (part for part in self._ledger.open_parts(self._run) if part.by in dead)
            self._send_again(theirs)
        elif time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + LOST_SECONDS
            if self._queue.is_empty():
                self._send_again(self._ledger.open_parts(self._run))

    def _send_again(self, parts: Iterable[Part]) -> None:
        if numbers := [part.number for part in parts if self._alive.is_free(part.by)]:
            log.info("parts sent again", parts=len(numbers))
            self._queue.send_parts(numbers)
