"""Which call meets which fault: every one of every operation, or what a seed says."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.faults.blows import Moment, struck
from tests.faults.faults import FAULTS, hang
from tests.faults.plan import PAID, Choose, Plan
from tests.faults.proxy import Blow, Fault, pass_on

LISTING, DOWNLOAD = "ListObjectsV2", "GetObject"
OPERATIONS = (
    *(LISTING, DOWNLOAD, "DetectLabels", "DetectText", "GetQueueAttributes", "SendMessageBatch"),
    *("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"),
)
LEDGER_OPERATIONS = (
    *("GetItem", "BatchGetItem", "Query"),
    *("PutItem", "BatchExecuteStatement", "TransactWriteItems"),
)
RATES = (0.02, 0.1, 0.2)
# who of a fleet cannot look at the heartbeats for 3 s waits; at more faults it does so all the time
RATES_OF_FLEET = (0.02, 0.05, 0.1)
# of the first calls of each operation; after those a worker is left alone, and gets to its end
STRUCK = (0.0, 0.01, 0.02, 0.03)
FIRST_CALLS = 25
BLOWS = (Blow.KILL, Blow.KILL, Blow.STOP, Blow.CUT)
# seconds from a fault: at once, while the answer is kept, while a retry waits
DELAYS = (0.0, 0.01, 0.15)
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
            text_in_flight=1,
            rekognition_seconds=0.6,
        )


def _first_and_third(square: dict[str, Fault]) -> Choose:
    # the third call of a listing is its second page
    return lambda _, operation, number: square.get(operation) if number in {1, 3} else None


def crossed(moment: Moment, each: int = 1) -> Plan:
    """A run in which the first call of each operation is the last of one worker of each kind."""
    operations = (*OPERATIONS, *(LEDGER_OPERATIONS if each > 1 else ()))
    shift = [*Moment].index(moment)
    victims = {role if each == 1 else f"{role}-1" for role in PAID}

    def choose(worker: str, operation: str, number: int) -> Fault | None:
        if number > 1 or worker not in victims:
            return None
        turn = operations.index(operation) + shift
        fault = FAULTS[turn * 5 % len(FAULTS)] if turn % 2 else pass_on
        return struck(fault, moment, BLOWS[turn % len(BLOWS)], DELAYS[turn % len(DELAYS)])

    return Plan(
        f"{each} of each, each operation's first call is a worker's last: {moment.value}",
        choose,
        images=24,
        each=each,
        dynamodb=each > 1,
        told=each == 1,
    )


def stop(role: str, dynamodb: bool) -> Plan:
    """A run in which nothing answers any more from the moment when the worker is asked to stop."""
    silent = False

    def choose(_: str, operation: str, number: int) -> Fault | None:
        nonlocal silent
        if (operation, number) == (PAID[role], 5):
            silent = True
            return struck(hang, Moment.UNDER_WAY, Blow.STOP)
        return hang if silent else None

    return Plan(
        f"a stop of the {role} worker on {'DynamoDB' if dynamodb else 'SQLite'}",
        choose,
        stops=True,
        dynamodb=dynamodb,
        images=40,
    )


def schedule(seed: int) -> Plan:
    """A small run in which anything may happen, each time the same."""
    chance = random.Random(seed)
    each, dynamodb = chance.choice(((1, False), (1, False), (1, True), (2, True), (2, True)))
    return Plan(
        f"python -m tests.faults {seed}",
        _spoiled(seed, chance.choice(RATES_OF_FLEET if each > 1 else RATES), chance.choice(STRUCK)),
        images=24,
        each=each,
        dynamodb=dynamodb,
        told=not dynamodb and chance.random() < 0.5,
        seed=seed,
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


def _spoiled(seed: int, share: float, deadly: float = 0.0) -> Choose:
    """Spoils this share of the calls; it does not matter in which order they come. Of the first
    ones of each operation the share `deadly` are the last of a worker's life.
    """

    def choose(worker: str, operation: str, number: int) -> Fault | None:
        chance = random.Random(f"{seed} {worker} {operation} {number}")
        fault = chance.choice(FAULTS) if chance.random() < share else None
        if number > FIRST_CALLS or chance.random() >= deadly:
            return fault
        # at a fault, or at what goes well
        fault = fault or chance.choice((pass_on, chance.choice(FAULTS)))
        blow, moment = chance.choice(BLOWS), chance.choice([*Moment])
        return struck(fault, moment, blow, chance.choice(DELAYS))

    return choose
