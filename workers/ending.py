"""When a run is finished: the one rule, from what is known of the run; nobody else decides it.

An end is a fact, not an order: it says how many distinct indexes a shard has sent. So neither the
order of messages, nor duplicates, nor restarts change what follows from it. Where any end with a
count is known, only counts decide; a bare end mark comes from somebody else's label worker, and
then all that is left to go by is a queue that stays empty.
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
    FINISHED = "every image that the ends count is done"


def ending(progress: RunProgress) -> Ending:
    """How near to its end the run is."""
    if not progress.ends:
        return Ending.UNCOUNTED if progress.foreign_end else Ending.NO_END
    if not _all_ended(progress):
        return Ending.ENDS_MISSING
    return Ending.FINISHED if missing(progress) == 0 else Ending.IMAGES_MISSING


def finished(progress: RunProgress, queue_stays_empty: bool = False) -> bool:
    """Whether nothing is left to do; the queue counts only where no end has a count."""
    found = ending(progress)
    return found is Ending.FINISHED or (found is Ending.UNCOUNTED and queue_stays_empty)


def expected(progress: RunProgress) -> int | None:
    """How many images the run has; None while not every shard has said so."""
    return sum(end.expected for end in progress.ends) if _all_ended(progress) else None


def missing(progress: RunProgress) -> int | None:
    """How many images are not done; None while nobody can know."""
    of = expected(progress)
    return None if of is None else max(0, of - (progress.done - progress.by_hand))


def _all_ended(progress: RunProgress) -> bool:
    ends = progress.ends
    return bool(ends) and len(ends) >= max(end.shards for end in ends)
