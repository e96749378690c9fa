"""What one look at a run sees."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from workers.ending import finished
from workers.model import RunProgress
from workers.price import dollars


@dataclass
class Work:
    """What the workers of a kind have done: `of` is None while nobody knows how many there will be.

    `good` counts the images with the label, or with text, `known` those for which nothing was paid;
    `per_second` is None before two looks.
    """

    name: str
    done: int
    of: int | None
    good: int
    failed: int
    known: int
    ended: bool
    per_second: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """None when nobody can know."""
        if self.ended:
            return 0.0
        if self.of is None or not self.per_second:
            return None
        return max(0, self.of - self.done) / self.per_second


@dataclass
class QueueCounters:
    """The queue's own numbers, None where they cannot be had."""

    waiting: int | None = None
    in_flight: int | None = None
    dead: int | None = None
    oldest_seconds: float | None = None

    @property
    def empty(self) -> bool:
        """Whether it surely is."""
        return self.waiting == 0 and self.in_flight == 0


@dataclass
class Status:
    """One look at a run: what is known of its label workers, and of its text workers."""

    run: str
    label: Work | None = None
    text: Work | None = None
    progress: RunProgress | None = None
    failures: dict[str, Counter[str]] = field(default_factory=dict)
    queue: QueueCounters | None = None
    seen: float = field(default_factory=time.monotonic)

    @property
    def works(self) -> list[Work]:
        """Every worker of which the ledger knows."""
        return [work for work in (self.label, self.text) if work]

    @property
    def finished(self) -> bool:
        """As far as this ledger tells: the text workers' end counts where it is known."""
        if self.progress:
            return finished(self.progress, bool(self.queue and self.queue.empty))
        return bool(self.label and self.label.ended)

    @property
    def paid(self) -> int:
        """How many of Rekognition's answers were paid for: what failed or was known is not."""
        return sum(work.done - work.failed - work.known for work in self.works)

    @property
    def dollars(self) -> float:
        """What they have cost."""
        return dollars(self.paid)
