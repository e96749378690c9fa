"""When a run is finished: the one rule, from what is known of the run; nobody else decides it.

An end is a fact, not an order: it says how many distinct indexes a shard has sent. So neither the
order of messages, nor duplicates, nor restarts change what follows from it. Where any end with a
count is known, only counts decide. A bare end mark comes from somebody else's label worker, and
ends that contradict what is known are not all from one; then all that is left to go by is a queue
that stays empty.
"""

from __future__ import annotations

from enum import Enum

from workers.model import RunProgress


class Ending(Enum):
    """How near to its end a run is; the text says what it waits for."""

    NO_END = "no end mark has come"
    ENDS_MISSING = "the end marks of some label workers have not come"
    IMAGES_MISSING = "some of the images that the ends count are not done"
    UNCOUNTED = "a bare end mark has come: the queue must stay empty"
    CONTRADICTED = "the ends contradict each other, or what is done: the queue must stay empty"
    FINISHED = "every image that the ends count is done"

    @property
    def asks_queue(self) -> bool:
        """Whether a queue that stays empty is what it waits for."""
        return self in {Ending.UNCOUNTED, Ending.CONTRADICTED}


def ending(progress: RunProgress) -> Ending:
    """How near to its end the run is."""
    if not progress.ends:
        return Ending.UNCOUNTED if progress.foreign_end else Ending.NO_END
    shards = {end.shards for end in progress.ends}
    if len(shards) == 1 and len(progress.ends) < max(shards):
        return Ending.ENDS_MISSING
    left = _expected(progress) - _done(progress)
    if len(shards) > 1 or left < 0:
        return Ending.CONTRADICTED
    return Ending.IMAGES_MISSING if left else Ending.FINISHED


def finished(progress: RunProgress, queue_stays_empty: bool = False) -> bool:
    """Whether nothing is left to do; the queue counts only where counts do not tell."""
    found = ending(progress)
    return found is Ending.FINISHED or (found.asks_queue and queue_stays_empty)


def expected(progress: RunProgress) -> int | None:
    """How many images the run has; None while nobody can know."""
    known = ending(progress) in {Ending.IMAGES_MISSING, Ending.FINISHED}
    return _expected(progress) if known else None


def missing(progress: RunProgress) -> int | None:
    """How many images are not done; None while nobody can know."""
    of = expected(progress)
    return None if of is None else of - _done(progress)


def _expected(progress: RunProgress) -> int:
    return sum(end.expected for end in progress.ends)


def _done(progress: RunProgress) -> int:
    return progress.done - progress.by_hand
