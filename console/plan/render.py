"""A plan as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.plan.model import BASELINES, Plan, full_rate, machine_for
from console.words import bytes_text, duration_text, table
from workers.estimate import Estimate
from workers.price import dollars_text
from workers.settings import Settings


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON has it."""
    estimate, settings = plan.estimate, plan.estimate.settings
    return {
        "schema": 2,
        "run": settings.run,
        "bucket": settings.bucket,
        "prefix": settings.prefix,
        "keys": str(settings.keys) if settings.keys else None,
        "ledger": settings.ledger_url if estimate.ledger else None,
        "listed": plan.listed,
        "size": plan.size,
        "oddly_named": plan.oddly_named,
        "broken": plan.broken,
        "examples": plan.examples,
        "images": estimate.images,
        "answered": estimate.answered,
        "new": estimate.new,
        "floor_too_high": estimate.too_high,
        "copies": estimate.copies,
        "all_copies": estimate.all_copies,
        "label_calls_at_most": estimate.label_calls,
        "text_calls_at_most": estimate.text_calls,
        "images_per_second": round(full_rate(settings), 2),
        "seconds": round(plan.seconds, 1),
        "text_bytes_per_second": round(plan.bytes_per_second),
        "dollars_at_least": round(estimate.dollars_at_least, 4),
        "dollars_at_most": round(estimate.dollars_at_most, 4),
        "budget_dollars": settings.budget_dollars,
        "within_budget": estimate.refusal is None,
    }


def as_text(plan: Plan, region: str) -> str:
    """The plan as a person reads it."""
    estimate, settings = plan.estimate, plan.estimate.settings
    keys = f"the keys of {settings.keys} in " if settings.keys else ""
    where = f"{keys}s3://{settings.bucket}/{settings.prefix} in {region}, run {settings.run}"
    rows = [
        ("images", f"{estimate.images:,}", bytes_text(plan.size)),
        *_broken_rows(plan),
        *_answer_rows(estimate),
        ("time", duration_text(plan.seconds) if plan.seconds >= 1 else "under 1 s", _rate(plan)),
        ("network", f"{bytes_text(plan.bytes_per_second)}/s", _machine(plan)),
        (
            "at most",
            dollars_text(estimate.dollars_at_most),
            f"{estimate.label_calls:,} to look at, {estimate.text_calls:,} to read if every new "
            f"one has a {_names(settings)}; {dollars_text(estimate.dollars_at_least)} if none has",
        ),
        *_budget_rows(estimate),
    ]
    return f"{where}\n\n{table(rows)}"


def _broken_rows(plan: Plan) -> Iterable[tuple[str, str, str]]:
    if not plan.broken:
        yield "not recognisable", "0", ""
    for number, (reason, count) in enumerate(plan.broken.most_common()):
        shown = ", ".join(repr(key)[1:-1] for key in plan.examples[reason])
        more = ", …" if count > len(plan.examples[reason]) else ""
        yield "" if number else "not recognisable", f"{count:,}", f"{reason}: {shown}{more}"
    if plan.oddly_named:
        note = "their names do not end in .jpg, .jpeg or .png; the content will decide"
        yield "", f"({plan.oddly_named:,})", note


def _answer_rows(estimate: Estimate) -> Iterable[tuple[str, str, str]]:
    ledger, confidence = estimate.settings.ledger_url, estimate.settings.min_confidence
    source = f"known from {ledger}" if estimate.ledger else f"no answers are known: no {ledger}"
    yield "answered", f"{estimate.answered:,}", source
    floor = f"{estimate.too_high:,} of them were asked only for labels surer than {confidence:g} %"
    yield "new or replaced", f"{estimate.new:,}", floor if estimate.too_high else ""
    if estimate.copies or not estimate.all_copies:
        least = "" if estimate.all_copies else "at least "
        yield "copies", f"{least}{estimate.copies:,}", "of these: a picture that comes once more"


def _rate(plan: Plan) -> str:
    settings = plan.estimate.settings
    return (
        f"{'beside the listing, ' if plan.estimate.answered else ''}"
        f"{full_rate(settings):.1f} images/s: a quota of {settings.quota:g} calls/s, "
        f"{settings.slots} images in flight"
    )


def _machine(plan: Plan) -> str:
    """What machine a text worker needs."""
    told = f"of the text worker, if every image has a {_names(plan.estimate.settings)}"
    if machine := machine_for(plan.bytes_per_second):
        name, moves = machine
        return f"{told}: {name} moves {bytes_text(moves)}/s for long"
    name, _ = BASELINES[-1]
    return f"{told}: more than {name} moves for long; take more text workers, or text-source s3"


def _budget_rows(estimate: Estimate) -> Iterable[tuple[str, str, str]]:
    settings = estimate.settings
    if settings.budget_dollars is None:
        return
    within = "over it" if estimate.refusal else "enough"
    if settings.over_budget and estimate.dollars_at_most > settings.budget_dollars:
        within = "over it, as allowed"
    yield "budget", dollars_text(settings.budget_dollars), within


def _names(settings: Settings) -> str:
    return " or ".join(settings.label)
