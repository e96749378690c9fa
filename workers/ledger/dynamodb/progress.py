"""How far the text workers of a fleet are: itself at any time, others by a look now and then.

Each says a moment later how many results it has brought, and one that is killed does not say it of
its last ones. So the sum may be behind what is done, and is never ahead of it. Where an end has
come and nobody brings the images that are missing, the results themselves are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.ending import missing
from workers.ledger.dynamodb.items import Values
from workers.ledger.dynamodb.table import Table
from workers.ledger.dynamodb.writer import TELL_SECONDS, Writer
from workers.model import RunProgress

# other workers' counts may be as old as this; a run's last images are looked at so much more often
FRESH_SECONDS = 1.0
LAST_IMAGES, MORE_OFTEN = 500, 5
# so long nobody has said anything, before the results are counted; each time twice as long
STILL_SECONDS = TELL_SECONDS + 1.0


@dataclass(slots=True)
class _Seen:
    """A look at a run: the others' tallies, and what somebody has counted of the results."""

    others: Counter[str] = field(default_factory=Counter)
    expected: int | None = None
    foreign_end: bool = False
    counted: Counter[str] = field(default_factory=Counter)
    stale_at: float = 0.0


@dataclass(slots=True)
class _Still:
    """How long a run has been so far: `done` at `since`; at `until` it is counted."""

    done: int
    since: float
    until: float


class Progress:
    """Reads the tallies and ends of runs; `count`, if it may, counts the results of one."""

    def __init__(
        self,
        table: Table,
        writer: Writer,
        count: Callable[[str], Counter[str]] | None,
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._writer = writer
        self._count = count
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._still: dict[str, _Still] = {}

    def of(self, run: str) -> RunProgress:
        """How far the run is; what others have counted may be `FRESH_SECONDS` old."""
        seen = self._seen.get(run)
        if seen is None or self._clock() >= seen.stale_at:
            return self.looked_at(run)
        return self._with_own(run, seen)

    def looked_at(self, run: str) -> RunProgress:
        """How far it is now."""
        return self._with_own(run, self._look(run))

    def forget(self, run: str) -> None:
        """Has the next question looked at."""
        self._seen.pop(run, None)

    def _look(self, run: str) -> _Seen:
        asked = self._clock()
        seen = _Seen()
        # of the shards into which the version before divided a run
        ends: list[Values] = []
        for name, values in self._table.query(f"{run}/text"):
            kind, _, shard = name.partition("/")
            if kind == "tally" and name != self._writer.tally:
                seen.others.update(values)
            elif kind == "counted":
                seen.counted.update(values)
            elif kind == "end" and shard:
                ends.append(values)
            elif kind == "end":
                seen.expected = values["expected"]
            elif kind == "foreign-end":
                seen.foreign_end = True
        if ends and len(ends) == ends[0]["shards"] and seen.expected is None:
            seen.expected = sum(end["expected"] for end in ends)
        if self._count and self._is_still(run, self._with_own(run, seen)):
            seen.counted = self._count(run)
            # nobody else has to
            self._table.write((f"{run}/text", "counted"), dict(seen.counted))
        left = missing(self._with_own(run, seen))
        at_end = left is not None and left <= LAST_IMAGES
        seen.stale_at = asked + FRESH_SECONDS / (MORE_OFTEN if at_end else 1)
        self._seen[run] = seen
        return seen

    def _is_still(self, run: str, progress: RunProgress) -> bool:
        """Whether it is time to count, for images are missing and nobody brings any."""
        now = self._clock()
        still = self._still.get(run)
        if not missing(progress):
            return False
        if still is None or still.done != progress.done:
            self._still[run] = _Still(progress.done, now, now + STILL_SECONDS)
            return False
        if now < still.until:
            return False
        still.until = now + 2 * (now - still.since)
        return True

    def _with_own(self, run: str, seen: _Seen) -> RunProgress:
        # of its own tally a process knows more than a look
        own = self._writer.counted((f"{run}/text", self._writer.tally))
        sums = (seen.others + own) | seen.counted
        return RunProgress(
            sums["done"],
            sums["with_text"],
            sums["failed"],
            seen.expected,
            seen.foreign_end,
            sums["by_hand"],
            sums["known"],
        )
