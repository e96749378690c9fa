"""Which workers of a fleet are alive, by their heartbeats, and the share of the quota of each.

A worker looks at the heartbeats of all and then gives its own, again and again. Whose heartbeat
does not change any more is dead. Who could not look for a while takes itself for dead, and does so
sooner than the others; and a new one waits until each of the others has looked since it is there.
So the shares of those that call are never more than the quota, whatever their clocks say.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple, Self

from workers.ledger.dynamodb.fleet import FleetTable
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

LOOK_SECONDS = 1.0
# from when a worker looked last, by its own clock; the others, by theirs, wait longer
LAPSED_SECONDS, DEAD_SECONDS = 3.0, 5.0


class _Beat(NamedTuple):
    number: int
    since: float


class Alive:
    """A worker of a fleet among those of its kind; as a context, it is alive within."""

    def __init__(
        self,
        table: FleetTable,
        kind: str,
        stop: Stop,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = uuid.uuid4().hex[:12]
        self.table = table
        self._kind = kind
        self._stop = stop
        self._clock = clock
        self._number = 0
        self._looked = -math.inf
        self._others: dict[str, _Beat] = {}
        self._living: set[str] = set()
        # up to which heartbeat of each it has to wait; None: it has yet to be seen
        self._awaited: dict[str, int] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.look()
        self._ticker = Ticker("alive", LOOK_SECONDS, self.look, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._ticker.close()
        # where something is wrong the others find out by themselves
        if not self._stop.error:
            self.table.leave(self._kind, self.worker)

    def look(self) -> None:
        """Looks at the others, and then says that this one is alive."""
        began = self._clock()
        beats = self.table.beats(self._kind)
        beats.pop(self.worker, None)
        self.table.leave(self._kind, *self._see(beats, began))
        self._number += 1
        self.table.beat(self._kind, self.worker, self._number)
        self._was_seen(began)

    def _see(self, beats: dict[str, int], now: float) -> set[str]:
        """Takes the heartbeats in; returns those that are dead."""
        with self._lock:
            self._others = {
                worker: before if before and before.number == number else _Beat(number, now)
                for worker, number in beats.items()
                for before in [self._others.get(worker)]
            }
            # by what was seen: time that passes without a look tells nothing
            self._living = {
                worker for worker, beat in self._others.items() if now - beat.since <= DEAD_SECONDS
            }
            if self._awaited is None and math.isfinite(self._looked):
                # the next but one is of somebody who has looked after this one's first
                self._awaited = {worker: number + 2 for worker, number in beats.items()}
            return beats.keys() - self._living

    def _was_seen(self, began: float) -> None:
        """Its heartbeat is there; it looked before that."""
        with self._lock:
            if self._has_lapsed():
                self._awaited = None
            self._looked = began

    def _has_lapsed(self) -> bool:
        return self._clock() - self._looked > LAPSED_SECONDS

    def living(self) -> set[str]:
        """The workers that are alive, this one included."""
        with self._lock:
            return {self.worker, *self._living}

    def is_dead(self, worker: str) -> bool:
        """Whether it is; one that is not known may have come since the last look."""
        with self._lock:
            if worker == self.worker or worker in self._others:
                return worker not in {self.worker, *self._living}
        return self.has_left(worker)

    def has_left(self, worker: str) -> bool:
        """Whether it has no heartbeat any more: it has ended, or somebody has found it dead."""
        return worker not in self.table.beats(self._kind)

    def is_free(self, holder: str) -> bool:
        """Whether what somebody holds may be taken: nobody does, or a dead one."""
        return not holder or self.is_dead(holder)

    def share(self) -> float:
        """This worker's share of the quota, from 0 to 1, as it is now."""
        with self._lock:
            if self._awaited is None or self._has_lapsed():
                return 0.0
            for worker in self._living & self._awaited.keys():
                if self._others[worker].number < self._awaited[worker]:
                    return 0.0
            return 1 / (1 + len(self._living))
