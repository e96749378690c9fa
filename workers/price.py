"""What Rekognition charges, and whether a run may cost that much."""

from __future__ import annotations

from workers.settings import Settings

# https://aws.amazon.com/rekognition/pricing/, US East: up to so many images a month, dollars for
# 1,000 of them
TIERS = ((1_000_000, 1.00), (5_000_000, 0.80), (35_000_000, 0.60), (float("inf"), 0.25))


def dollars(calls: int) -> float:
    """What so many calls cost in a month that begins with them."""
    cost, below = 0.0, 0.0
    for upto, price in TIERS:
        cost += max(0.0, min(calls, upto) - below) * price / 1000
        below = upto
    return cost


def dollars_text(amount: float) -> str:
    """`$1,234.50`; small amounts keep two digits that say something."""
    return f"${amount:,.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def budget_of(settings: Settings) -> float | None:
    """What a run may cost in dollars; None where nothing holds it."""
    return None if settings.over_budget else settings.budget_dollars


def refusal(label_calls: int, text_calls: int, settings: Settings) -> str | None:
    """Why a run that makes so many calls does not start, if its budget forbids it."""
    budget, cost = budget_of(settings), dollars(label_calls + text_calls)
    if budget is None or cost <= budget:
        return None
    return (
        f"run {settings.run!r} may cost {dollars_text(cost)} ({label_calls:,} images to look at, "
        f"{text_calls:,} to read), more than the budget of {dollars_text(budget)}; raise "
        "CARTEXT_BUDGET_DOLLARS, narrow CARTEXT_PREFIX, or start with --over-budget"
    )
