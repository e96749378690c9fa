"""What AWS charges, and whether a run may cost that much."""

from __future__ import annotations

from workers.settings import Settings

# https://aws.amazon.com/rekognition/pricing/, US East: up to so many images a month, dollars for
# 1,000 of them
TIERS = ((1_000_000, 1.00), (5_000_000, 0.80), (35_000_000, 0.60), (float("inf"), 0.25))

# list prices of us-east-1 in dollars, without the free tiers: what else a run uses
HOUR = 3600.0
SQS_CALL = 0.40e-6
S3_GET, S3_LIST = 0.40e-6, 5e-6
DYNAMODB_READ, DYNAMODB_WRITE = 0.125e-6, 0.625e-6
# what a type moves for long in Gbit/s, each way, not its burst of some minutes:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html#gp_network and co.html#co_network
BASELINES = (
    ("t3.small", 0.128),
    ("t3.medium", 0.256),
    ("t3.large", 0.512),
    ("t3.xlarge", 1.024),
    ("c7gn.medium", 3.125),
)
# t3.small, its public address, and 20 GiB of gp3
INSTANCE_HOUR = 0.0208 + 0.005 + 20 * 0.08 / 730


def dollars(calls: int) -> float:
    """What so many calls cost in a month that begins with them."""
    cost, below = 0.0, 0.0
    for upto, price in TIERS:
        cost += max(0.0, min(calls, upto) - below) * price / 1000
        below = upto
    return cost


def machine_for(bytes_per_second: float) -> tuple[str, float] | None:
    """The smallest type that moves so much for long, and what it moves; None where none does."""
    moves = ((name, gigabits * 1e9 / 8) for name, gigabits in BASELINES)
    return next((each for each in moves if each[1] >= bytes_per_second), None)


def dollars_text(amount: float) -> str:
    """`$1,234.50`; small amounts keep two digits that say something."""
    return f"${amount:,.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def has_budget(settings: Settings) -> bool:
    """Whether a run is held to a budget at all."""
    return settings.budget_dollars is not None and not settings.over_budget


def refusal(label_calls: int, text_calls: int, settings: Settings) -> str | None:
    """Why a run that makes so many calls does not start, if its budget forbids it."""
    budget, cost = settings.budget_dollars, dollars(label_calls + text_calls)
    if budget is None or settings.over_budget or cost <= budget:
        return None
    return (
        f"run {settings.run!r} may cost {dollars_text(cost)} ({label_calls:,} images to look at, "
        f"{text_calls:,} to read), more than the budget of {dollars_text(budget)}; raise "
        "CARTEXT_BUDGET_DOLLARS, narrow CARTEXT_PREFIX, or start with --over-budget"
    )
