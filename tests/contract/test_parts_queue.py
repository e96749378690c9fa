"""The parts queue of a fleet against SQS."""

from __future__ import annotations

import json
import time

import pytest

from sandbox.aws.server import Sandbox
from tests.contract.conftest import RUN, settings
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import RunError
from workers.parts.queue import PartMessage, PartQueue
from workers.settings import Settings
from workers.threads.stop import Stop


@pytest.fixture
def own(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    return settings(
        run=RUN,
        parts_queue_url=sandbox.create_queue("parts"),
        ledger="dynamodb://ledger",
        poll_seconds=0,
        visibility_timeout=3,
        retry_seconds=5,
    )


def open_queue(own: Settings) -> PartQueue:
    (sqs,) = make_clients(own, "sqs")
    assert own.parts_queue_url
    return PartQueue(sqs, Calls(own, Stop()), own.parts_queue_url, own)


@pytest.fixture
def queue(own: Settings) -> PartQueue:
    return open_queue(own)


def receive(queue: PartQueue, count: int) -> list[PartMessage]:
    """Receives until so many messages are there."""
    until, found = time.monotonic() + 10, list[PartMessage]()
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} came"
        found += queue.receive(count - len(found))
    return found


def test_any_number_of_parts_is_sent_in_tens(queue: PartQueue) -> None:
    numbers = [*range(1, 25), 10**12 - 1]
    queue.send_parts(numbers)
    assert queue.calls_made == 3
    got = receive(queue, 25)
    assert sorted(each.number or 0 for each in got) == numbers
    assert queue.receive(10) == []
    for first in range(0, 25, 10):
        queue.delete([each.receipt for each in got[first : first + 10]])
    assert queue.is_empty()


def test_nothing_is_sent_of_no_parts(queue: PartQueue) -> None:
    queue.send_parts([])
    assert queue.calls_made == 0
    assert queue.is_empty()


def test_a_part_comes_one_at_a_time_and_stays_hidden_while_it_is_renewed(own: Settings) -> None:
    queue = open_queue(own.model_copy(update={"visibility_timeout": 2}))
    queue.send_parts([1, 2])
    (kept,) = queue.receive(1, 1)
    (left,) = queue.receive(1, 1)
    assert {kept.number, left.number} == {1, 2}
    queue.hide([kept.receipt], 30)
    assert [each.number for each in receive(queue, 1)] == [left.number]
    assert queue.receive(10) == []


def test_a_part_that_is_given_back_comes_at_once(queue: PartQueue) -> None:
    queue.send_parts([7])
    (got,) = receive(queue, 1)
    assert not queue.is_empty()
    queue.hide([got.receipt], 0)
    assert [each.number for each in receive(queue, 1)] == [7]


@pytest.mark.parametrize(
    "body", ["-1", "1.jpg", "1.5", " 7", "\u0661\u0662", "\u00b2", "1" * 13, "{}", "0x10"]
)
def test_what_names_no_part_is_told_from_those_that_do(queue: PartQueue, body: str) -> None:
    (right,) = _entries("7", RUN)
    queue.send([{**right, "MessageBody": body}, right])
    got = {each.body: each.number for each in receive(queue, 2)}
    assert got == {body: None, "7": 7}


def test_a_part_of_another_run_or_of_none_is_none(queue: PartQueue) -> None:
    queue.send([*_entries("1", "tuesday"), {"MessageBody": "2"}, *_entries("3", RUN)])
    got = {each.body: each.number for each in receive(queue, 3)}
    assert got == {"1": None, "2": None, "3": 3}


def test_a_long_message_is_told_by_its_beginning(queue: PartQueue) -> None:
    queue.send([{"MessageBody": json.dumps(["x" * 1000])}])
    (got,) = receive(queue, 1)
    assert got.number is None
    assert len(got.body) == 80


def test_no_such_queue_is_an_error(own: Settings) -> None:
    missing = own.model_copy(update={"parts_queue_url": f"{own.parts_queue_url}-none"})
    queue = open_queue(missing)
    for call in (queue.max_receives, lambda: queue.receive(1), lambda: queue.send_parts([1])):
        with pytest.raises(RunError, match="there is no queue"):
            call()


def _entries(body: str, run: str) -> list[dict[str, object]]:
    attribute = {"DataType": "String", "StringValue": run}
    return [{"MessageBody": body, "MessageAttributes": {"run": attribute}}]
