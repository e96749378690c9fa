"""The lines of the workers' logs that something else reads: their names, their fields.

The demo's board, the bench, `run.yml` (by ansible/library/worker_state.py) and the tests read them.
What is read by its fields is a record here, written by `say` and read by `read`, so that neither
side can have a field that the other has not; of the others, the name is all that is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

START, PROGRESS, SUMMARY = "start", "progress", "summary"
ALREADY_FINISHED, STOPPED_BY_BUG = "already finished", "stopped by a bug"
# beside the first of these
AGAIN = "a new CARTEXT_RUN asks again, and what is known by now costs nothing"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A has seen the label in an image and puts its index on the queue."""

    index: str
    label: str
    confidence: float
    ms: int


@dataclass(frozen=True, slots=True)
class NotLabelled:
    """A has looked at an image that has no such label, or not surely enough, which `near` says."""

    index: str
    ms: int
    near: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """A has decided about so many images from answers; `labelled` of them have the label."""

    images: int
    labelled: int


@dataclass(frozen=True, slots=True)
class TextRead:
    """B has read an image; `text` is empty where it has none."""

    index: str
    text: str
    ms: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An image can never be looked at, or read."""

    index: str
    reason: str
    ms: int


@dataclass(frozen=True, slots=True)
class End:
    """The run's end mark is on the queue (A), or has come (B)."""

    index: str
    expected: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The worker ends before its run does, with this exit status."""

    reason: str
    status: int


Event = Labelled | NotLabelled | Known | TextRead | Failed | End | Stopped

KINDS: dict[str, type[Event]] = {
    "labelled": Labelled,
    "not labelled": NotLabelled,
    "known": Known,
    "read": TextRead,
    "failed": Failed,
    "end": End,
    "stopped": Stopped,
}
NAMES = {kind: name for name, kind in KINDS.items()}

# the last of these in a log says in one line how a worker is
SUMS_UP = (PROGRESS, SUMMARY, ALREADY_FINISHED, NAMES[Stopped], STOPPED_BY_BUG)


def say(event: Event, level: str = "info") -> None:
    """Logs it."""
    fields = {name: getattr(event, name) for name in event.__slots__}
    getattr(log, level)(NAMES[type(event)], **fields)


def read(line: str) -> Event | None:
    """The event in a line of a log as JSON; None where the line is something else."""
    try:
        found = json.loads(line)
        kind = KINDS[found["event"]]
        return kind(**{name: found[name] for name in kind.__slots__})
    except (ValueError, KeyError, TypeError):
        return None
