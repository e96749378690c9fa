"""What Rekognition charges, and what a run may cost."""

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
