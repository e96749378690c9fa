"""When a run is finished: the one rule, from what is known of the run; nobody else decides it.

An end is a fact, not an order: it says how many distinct indexes the run has sent. So neither the
order of messages, nor duplicates, nor restarts change what follows from it. Where an end with a
count is known, only counts decide. A bare end mark comes from somebody else's label worker, and an
end that contradicts what is done is not from ours; then all that is left to go by is a queue that
stays empty.
"""

from __future__ import annotations

from enum import Enum

from workers.model import RunProgress


class Ending(Enum):
    """How near to its end a run is; the text says what it waits for."""

    NO_END = "no end mark has come"
    IMAGES_MISSING = "some of the images that the end counts are not done"
    UNCOUNTED = "a bare end mark has come: the queue must stay empty"
    CONTRADICTED = "the end contradicts what is done: the queue must stay empty"
    FINISHED = "every image that the end counts is done"

    @property
    def asks_queue(self) -> bool:
        """Whether a queue that stays empty is what it waits for."""
        return self in {Ending.UNCOUNTED, Ending.CONTRADICTED}


def ending(progress: RunProgress) -> Ending:
    """How near to its end the run is."""
    if progress.expected is None:
        return Ending.UNCOUNTED if progress.foreign_end else Ending.NO_END
    left = progress.expected + progress.by_hand - progress.done
    if left < 0:
        return Ending.CONTRADICTED
    return Ending.IMAGES_MISSING if left else Ending.FINISHED


def finished(progress: RunProgress, queue_stays_empty: bool = False) -> bool:
    """Whether nothing is left to do; the queue counts only where counts do not tell."""
    found = ending(progress)
    return found is Ending.FINISHED or (found.asks_queue and queue_stays_empty)


def expected(progress: RunProgress) -> int | None:
    """How many will be done at the run's end, with those asked for by hand so far; None while
    nobody can know.
    """
    if progress.expected is None or ending(progress).asks_queue:
        return None
    return progress.expected + progress.by_hand


def missing(progress: RunProgress) -> int | None:
    """How many images are not done; None while nobody can know."""
    of = expected(progress)
    return None if of is None else of - progress.done
