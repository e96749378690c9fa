"""What the contract tests share."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from sandbox.aws.server import Sandbox
from tests.contract.judge import Judge
from tests.contract.ministack import Ministack
from tests.ledger_table import ledger_table
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.ledger import Ledger, SqliteLedger
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.ledger.dynamodb.table import Table
from workers.model import Box, Decision, Label, Listed, Part, Result, TextLine
from workers.settings import Settings
from workers.threads.stop import Stop

Open = Callable[[], Ledger]

RUN, LISTER = "monday", "0123456789ab"
CAR = Label("Car", 97.25, (Box(0.1, 0.2, 0.3, 0.4), Box(0.0, 0.0, 1.0, 1.0)))
LINES = (TextLine("AB 123", 99.5, ((0.1, 0.2), (0.3, 0.4))), TextLine("ü | \n\u2028", 81.0))


@pytest.fixture
def moto() -> Iterator[Sandbox]:
    """An empty account, as the sandbox has it."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def running_ministack() -> Iterator[Ministack]:
    with Ministack() as running:
        yield running


@pytest.fixture
def ministack(running_ministack: Ministack) -> Ministack:
    """An empty account, by another hand than the sandbox's."""
    return running_ministack.reset()


@pytest.fixture(params=["moto", "ministack"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """An empty AWS account on loopback, by one hand and by another."""
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """Every test here fails too when a call or an answer in it is not like the service's model."""
    watching = Judge()
    create = Session.create_client

    def watched(*args: Any, **kwargs: Any) -> Any:
        client = create(*args, **kwargs)
        # the tests' own clients may ask what nobody should
        watching.watch(client, requests=not client.meta.config.parameter_validation)
        return client

    monkeypatch.setattr(Session, "create_client", watched)
    # the tests' own, of which each takes a while to make
    monkeypatch.setattr(Sandbox, "client", functools.cache(Sandbox.client))
    yield watching
    assert not watching.problems, "\n".join(dict.fromkeys(watching.problems))


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a DynamoDB with the empty table `ledger`."""
    return client_of_table(sandbox, monkeypatch)


def client_of_table(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of this account's DynamoDB with the empty table `ledger`."""
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    ledger_table(sandbox)
    (client,) = make_clients(settings(), "dynamodb")
    return client


def open_table(
    client: Any,
    table: str = "ledger",
    retry_seconds: float = 5,
    clock: Callable[[], float] | None = None,
    read_only: bool = False,
) -> DynamoDbLedger:
    """Opens the ledger in a table as one more process does; its time flies where none is given."""
    calls = Calls(settings(retry_seconds=retry_seconds), Stop())
    return DynamoDbLedger(Table(table, client, calls), clock or count().__next__, read_only)


def dies_untold(ledger: DynamoDbLedger) -> DynamoDbLedger:
    """As if it were killed before it tells what it has done."""
    ledger._writer._tell_all = lambda: None  # type: ignore[method-assign]
    return ledger


def settings(**fields: Any) -> Settings:
    """Settings of a worker whose queue nobody asks."""
    named = {"bucket": "photos", "queue_url": "http://queue.test/1/index", **fields}
    return Settings(**named)


def decision(index: str, label: Label | None = CAR, **more: Any) -> Decision:
    """What the label worker has decided; by default that it is a car."""
    labels = (label,) if label else ()
    return Decision(**{"run": RUN, "part": 1, "index": index, "labels": labels, **more})


def result(index: str, lines: tuple[TextLine, ...] = (), **more: Any) -> Result:
    """What the text worker has read; by default nothing."""
    return Result(**{"run": RUN, "index": index, "labels": (CAR,), "lines": lines, **more})


def wait(*futures: Future[Any]) -> None:
    """Returns when everything is durable; raises what went wrong."""
    for future in futures:
        future.result(30)


def all_of(number: int) -> Part:
    """A part that has every key."""
    return Part(number, "", "", 0)


def list_parts(ledger: Ledger, *parts: Part, run: str = RUN, **more: Any) -> Listed:
    """Keeps the next parts, in a table as its lister; returns how far the listing has come then."""
    listed = replace(ledger.listed(run), **more)
    if fleet := ledger.fleet:
        listed = replace(listed, lister=listed.lister or LISTER)
        fleet.take_listing(run, listed.lister, "")
    listed = listed.behind(*parts)
    wait(ledger.list_parts(run, list(parts), listed))
    return listed


def indexes_in(ledger: Ledger, run: str) -> list[str]:
    """The indexes of a run's results, in the order in which they come."""
    return [json.loads(row)["index"] for row, _ in ledger.results(run)]


@pytest.fixture(params=["sqlite", "moto", "ministack"])
def open_again(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Open]:
    """Opens the same ledger as one more process does."""
    opened: list[Ledger] = []
    client = None
    if request.param != "sqlite":
        client = client_of_table(request.getfixturevalue(request.param), monkeypatch)

    def open_one() -> Ledger:
        opened.append(open_table(client) if client else SqliteLedger(tmp_path / "ledger.sqlite3"))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again: Open) -> Ledger:
    return open_again()
