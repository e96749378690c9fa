"""Rules broken in a worker's process, each with a run in which that must be found."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tests.faults.blows import Moment, struck
from tests.faults.plan import Choose, Plan
from tests.faults.proxy import Blow, Fault, pass_on
from workers.alive import Alive
from workers.ledger.sqlite import SqliteLedger
from workers.ledger.sqlite_file import SqliteFile
from workers.reader import Reader
from workers.threads.stop import Stop

# of the first power cut of a plan that has it, by which all is gone that is not synced
ALL_IS_GONE = 2


def hasty(complete: Callable[..., None]) -> Callable[..., None]:
    """A `Reader._complete` that deletes first."""

    def delete_and_complete(reader: Reader, results: list[Any], began: float) -> None:
        for held, _ in results:
            reader._delete(held)
        reader.flush()
        complete(reader, results, began)

    return delete_and_complete


def deletes_before_the_commit() -> None:
    Reader._complete = hasty(Reader._complete)


def forgets_what_is_paid_for() -> None:
    SqliteLedger.answers = lambda *_: {}
    SqliteLedger.undecided = lambda *asked: {*asked[-1]}


def drops_what_is_in_flight_when_it_is_asked_to_stop() -> None:
    Stop.ask = lambda _: os._exit(75)


def does_not_sync_a_commit() -> None:
    connect = SqliteFile._connect

    def careless(file: SqliteFile) -> Any:
        connection = connect(file)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    SqliteFile._connect = careless


def takes_what_others_have_in_hand() -> None:
    Alive.is_free = lambda *_: True


def _at(operation: str, number: int, moment: Moment, blow: Blow) -> Choose:
    def choose(_: str, asked: str, count: int) -> Fault | None:
        return struck(pass_on, moment, blow) if (asked, count) == (operation, number) else None

    return choose


def _plan(broken: Callable[[], None], faults: Choose, patience: float = Plan.patience) -> Plan:
    return Plan(
        broken.__name__,
        faults,
        images=24,
        label_in_flight=1,
        text_in_flight=1,
        told=True,
        seed=ALL_IS_GONE,
        patience=patience,
        broken=broken,
    )


PLANS = (
    _plan(
        deletes_before_the_commit,
        _at("DeleteMessageBatch", 1, Moment.ACTED, Blow.KILL),
        # it never ends
        patience=8,
    ),
    _plan(forgets_what_is_paid_for, _at("DetectLabels", 7, Moment.ACTED, Blow.KILL)),
    _plan(
        drops_what_is_in_flight_when_it_is_asked_to_stop,
        _at("DetectText", 4, Moment.ACTED, Blow.STOP),
    ),
    _plan(does_not_sync_a_commit, _at("DetectLabels", 7, Moment.ACTED, Blow.CUT)),
    Plan(
        takes_what_others_have_in_hand.__name__,
        images=24,
        each=2,
        dynamodb=True,
        label_in_flight=1,
        rekognition_seconds=0.5,
        broken=takes_what_others_have_in_hand,
    ),
)
