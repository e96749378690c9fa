"""Which call meets which fault: every one of every operation, or what a seed says."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

from tests.faults.faults import FAULTS, hang
from tests.faults.proxy import Choose, Fault
from tests.faults.run import PAID, Plan

LISTING, DOWNLOAD = "ListObjectsV2", "GetObject"
OPERATIONS = (
    *(LISTING, DOWNLOAD, "DetectLabels", "DetectText", "GetQueueAttributes", "SendMessageBatch"),
    *("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"),
)
LEDGER_OPERATIONS = ("GetItem", "BatchGetItem", "Query", "TransactWriteItems")
RATES = (0.02, 0.1, 0.2)
STORM = 2500


def matrix(dynamodb: bool) -> Iterator[Plan]:
    """As many runs as there are faults: in each, every operation meets another one."""
    operations = OPERATIONS + (LEDGER_OPERATIONS if dynamodb else ())
    for shift in range(len(FAULTS)):
        square = {
            operation: FAULTS[(row + shift) % len(FAULTS)]
            for row, operation in enumerate(operations)
        }
        yield Plan(
            f"the matrix's run {shift} on {'DynamoDB' if dynamodb else 'SQLite'}",
            _first_and_third(square),
            must_meet=frozenset(f"{name} 1: {fault.__name__}" for name, fault in square.items()),
            dynamodb=dynamodb,
            # what waits for its turn so long has its visibility changed
            label_in_flight=12,
            text_in_flight=2,
            rekognition_seconds=0.6,
        )


def _first_and_third(square: dict[str, Fault]) -> Choose:
    # the third call of a listing is its second page
    return lambda operation, number: square.get(operation) if number in {1, 3} else None


def stop(role: str, dynamodb: bool) -> Plan:
    """A run in which nothing answers any more from the moment when the worker is asked to stop."""
    silent = False

    def choose(operation: str, number: int) -> Fault | None:
        nonlocal silent
        silent = silent or (operation, number) == (PAID[role], 5)
        return hang if silent else None

    return Plan(
        f"a stop of the {role} worker on {'DynamoDB' if dynamodb else 'SQLite'}",
        choose,
        kills={(role, 5): signal.SIGTERM},
        stops=True,
        dynamodb=dynamodb,
        images=40,
    )


def schedule(seed: int) -> Plan:
    """A small run in which anything may happen, each time the same."""
    chance = random.Random(seed)
    signals = (signal.SIGKILL, signal.SIGTERM)
    return Plan(
        f"python -m tests.faults {seed}",
        _spoiled(seed, chance.choice(RATES)),
        kills={
            (chance.choice(("label", "text")), chance.randint(1, 12)): chance.choice(signals)
            for _ in range(chance.choice((0, 0, 1, 2)))
        },
        dynamodb=chance.random() < 0.5,
        label_source=chance.choice(("s3", "bytes")),
    )


def storm(seed: int) -> Plan:
    """A large run in which every fiftieth call is spoilt."""
    return Plan(
        f"python -m tests.faults --storm {seed}",
        _spoiled(seed, 0.02),
        images=STORM,
        dynamodb=bool(seed % 2),
        label_in_flight=32,
        text_in_flight=32,
    )


def _spoiled(seed: int, share: float) -> Choose:
    """Spoils this share of the calls; it does not matter in which order they come."""

    def choose(operation: str, number: int) -> Fault | None:
        chance = random.Random(f"{seed} {operation} {number}")
        return chance.choice(FAULTS) if chance.random() < share else None

    return choose
