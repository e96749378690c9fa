"""A status as JSON, and as one screen for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from console.status.model import QueueCounters, Status, Work
from console.words import duration_text, table
from workers.price import dollars_text


def as_dict(status: Status) -> dict[str, Any]:
    """The status as JSON has it; null is unknown."""
    label, text, queue = status.label, status.text, status.queue or QueueCounters()
    return {
        "schema": 2,
        "run": status.run,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "finished": status.finished,
        "label": {**_work(label), "labelled": label.good} if label else None,
        "text": {**_work(text), "with_text": text.good} if text else None,
        "failures": status.failures,
        "queue": vars(queue),
        "paid": status.paid,
        "dollars": round(status.dollars, 4),
    }


def _work(work: Work) -> dict[str, Any]:
    left, rate = work.seconds_left, work.per_second
    return {
        "done": work.done,
        "of": work.of,
        "failed": work.failed,
        "known": work.known,
        "per_second": None if rate is None else round(rate, 1),
        "seconds_left": None if left is None else round(left),
        "ended": work.ended,
    }


def as_text(status: Status) -> str:
    """The status as one screen."""
    if not status.works:
        return f"run {status.run}: nothing in this ledger yet"
    parts = [f"run {status.run}: {'finished' if status.finished else 'under way'}"]
    parts.append(works_text(status))
    if status.failures:
        rows = [
            (f"  {name}", f"{count:,}", reason)
            for name, reasons in status.failures.items()
            for reason, count in reasons.most_common()
        ]
        parts.append(f"failed\n{table(rows)}")
    parts.append(f"queue  {_queue_text(status.queue)}")
    parts.append(cost_text(status))
    return "\n\n".join(parts)


def works_text(status: Status) -> str:
    """What each kind of worker has done, a line each."""
    return table([_row(work) for work in status.works], right=(1, 2, 3))


def cost_text(status: Status) -> str:
    """What has been paid, in a line."""
    return f"cost   {dollars_text(status.dollars)} so far: {status.paid:,} answers paid for"


def _row(work: Work) -> tuple[str, ...]:
    of = "?" if work.of is None else f"{work.of:,}"
    share = f"{100 * work.done / work.of:.0f} %" if work.of else ""
    rate = "" if work.per_second is None or work.ended else f"{work.per_second:.1f}/s"
    left = "done" if work.ended else f"{duration_text(work.seconds_left)} left"
    what = "with text" if work.name == "text" else "with the label"
    good = f"{work.good:,} {what}, {work.failed:,} failed, {work.known:,} known"
    return work.name, f"{work.done:,} of {of}", share, rate, left, good


def _queue_text(queue: QueueCounters | None) -> str:
    if queue is None:
        return "unknown: give --queue-url, and set AWS_REGION"
    waiting, in_flight, dead = (
        "unknown" if value is None else f"{value:,}"
        for value in (queue.waiting, queue.in_flight, queue.dead)
    )
    age = queue.oldest_seconds
    oldest = "unknown" if age is None else f"{duration_text(age)} old"
    return (
        f"{waiting} waiting, {in_flight} in flight, {dead} dead; "
        f"oldest message: {'none' if queue.empty else oldest}"
    )
