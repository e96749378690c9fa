"""What the workers of a fleet tell each other over the table: beats, who lists, whose a part is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from sandbox.aws.server import Fault, Sandbox
from tests.contract.conftest import RUN, list_parts, open_table, wait
from workers.errors import NotListerError, OutageError, RunError
from workers.ledger.dynamodb.fleet import FleetTable
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.model import Listed, Part

Open = Callable[..., DynamoDbLedger]
ONE, OTHER = "0123456789ab", "ba9876543210"
PARTS = [Part(1, "", "b", 10), Part(2, "b", "d", 10), Part(3, "d", "\u00fc/9", 3)]


@pytest.fixture
def open_again(client: Any) -> Iterator[Open]:
    """Opens the same table as one more process does."""
    opened: list[DynamoDbLedger] = []

    def open_one(**options: Any) -> DynamoDbLedger:
        opened.append(open_table(client, **options))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again: Open) -> DynamoDbLedger:
    return open_again()


@pytest.fixture
def fleet(ledger: DynamoDbLedger) -> FleetTable:
    return ledger.fleet


@pytest.fixture
def lose_answers(client: Any) -> Callable[..., None]:
    """From now on so many writes are made, and their answers are lost; `between` comes then."""
    real = client.transact_write_items

    def lose(times: int = 1, between: Callable[[], object] = lambda: None) -> None:
        left = times

        def answer(**request: Any) -> Any:
            nonlocal left
            reply = real(**request)
            if left:
                left -= 1
                between()
                raise ConnectionClosedError(endpoint_url="http://table.test")
            return reply

        client.transact_write_items = answer

    return lose


# --- who is alive --------------------------------------------------------------------------------


def test_a_heartbeat_is_seen_by_all_until_its_worker_leaves(open_again: Open) -> None:
    here, there = open_again().fleet, open_again().fleet
    assert here.beats("label") == {}
    here.beat("label", ONE, 1)
    there.beat("label", OTHER, 7)
    here.beat("label", ONE, 2)
    assert here.beats("label") == there.beats("label") == {ONE: 2, OTHER: 7}
    there.leave("label", OTHER, "nobody")
    assert here.beats("label") == {ONE: 2}
    # who was taken for dead comes back with its next one
    here.leave("label", ONE)
    here.leave("label")
    here.beat("label", ONE, 3)
    assert there.beats("label") == {ONE: 3}


def test_the_kinds_do_not_mix(fleet: FleetTable) -> None:
    fleet.beat("label", ONE, 1)
    fleet.beat("text", OTHER, 1)
    fleet.leave("text", ONE)
    assert (fleet.beats("label"), fleet.beats("text")) == ({ONE: 1}, {OTHER: 1})


def test_a_heartbeat_is_of_every_run_and_of_no_count(
    ledger: DynamoDbLedger, fleet: FleetTable
) -> None:
    fleet.beat("label", ONE, 1)
    assert ledger.settled(RUN) == {}
    assert ledger.listed(RUN) == Listed()
    assert ledger.label_counts(RUN).decided == ledger.progress(RUN).done == 0


def test_a_heartbeat_whose_answer_is_lost_is_one(
    fleet: FleetTable, lose_answers: Callable[..., None]
) -> None:
    lose_answers(2)
    fleet.beat("label", ONE, 5)
    fleet.leave("label", OTHER)
    assert fleet.beats("label") == {ONE: 5}


def test_a_table_that_does_not_answer_is_told(open_again: Open, sandbox: Sandbox) -> None:
    fleet = open_again(retry_seconds=0.3).fleet
    sandbox.faults.append(Fault("DynamoDB_20120810.", "InternalServerError", 500))
    calls: list[Callable[[], object]] = [
        lambda: fleet.beats("label"),
        lambda: fleet.beat("label", ONE, 1),
        lambda: fleet.take_listing(RUN, ONE, ""),
        lambda: fleet.take_part(RUN, 1, ONE, ""),
        lambda: fleet.part(RUN, 1),
        lambda: fleet.list_parts(RUN, PARTS, Listed(lister=ONE)),
    ]
    for call in calls:
        with pytest.raises(OutageError, match=r"failed for 0\.3 s"):
            call()


# --- who lists -----------------------------------------------------------------------------------


def test_the_first_one_is_the_lister(open_again: Open) -> None:
    first, second = open_again(), open_again()
    assert first.fleet.take_listing(RUN, ONE, "")
    assert not second.fleet.take_listing(RUN, OTHER, "")
    assert second.listed(RUN) == Listed(lister=ONE)
    assert second.fleet.take_listing("tuesday", OTHER, "")
    assert first.listed("tuesday").lister == OTHER


def test_of_many_at_once_one_is_the_lister(open_again: Open) -> None:
    workers = [f"{number:012}" for number in range(8)]
    fleets = [open_again().fleet for _ in workers]
    together = threading.Barrier(len(workers))

    def take(fleet: FleetTable, worker: str, instead_of: str) -> bool:
        together.wait(30)
        return fleet.take_listing(RUN, worker, instead_of)

    before = ""
    for _ in range(3):
        with ThreadPoolExecutor(len(workers)) as pool:
            took = [
                worker
                for worker, done in zip(
                    workers, pool.map(take, fleets, workers, [before] * len(workers)), strict=True
                )
                if done
            ]
        lister = open_again().listed(RUN).lister
        # whoever is in its own place already has it, too
        assert set(took) in ({lister}, {lister, before})
        assert lister in took
        before = lister


def test_another_goes_on_where_the_one_before_was(open_again: Open) -> None:
    dead, heir = open_again(), open_again()
    listed = list_parts(dead, *PARTS[:2], lister=ONE, of=23)
    assert not heir.fleet.take_listing(RUN, OTHER, "")
    assert not heir.fleet.take_listing(RUN, OTHER, "somebody else")
    assert heir.listed(RUN) == listed
    assert heir.fleet.take_listing(RUN, OTHER, ONE)
    assert heir.listed(RUN) == replace(listed, lister=OTHER)
    further = replace(heir.listed(RUN).behind(PARTS[2]), whole=True)
    wait(heir.list_parts(RUN, PARTS[2:], further))
    assert heir.listed(RUN) == further == Listed(3, 23, "\u00fc/9", True, 23, OTHER)
    assert list(dead.open_parts(RUN)) == PARTS


def test_whoever_is_not_the_lister_lists_nothing(open_again: Open) -> None:
    ledger, other = open_again(), open_again()
    mine = Listed(lister=ONE).behind(*PARTS)
    with pytest.raises(NotListerError):
        ledger.list_parts(RUN, PARTS, mine).result(0)
    assert list(ledger.open_parts(RUN)) == []
    assert ledger.listed(RUN) == Listed()
    # taken for dead, it goes on all the same
    assert ledger.fleet.take_listing(RUN, ONE, "")
    assert other.fleet.take_listing(RUN, OTHER, ONE)
    for parts in (PARTS, []):
        with pytest.raises(NotListerError):
            ledger.list_parts(RUN, parts, mine).result(0)
    assert list(ledger.open_parts(RUN)) == []
    assert ledger.listed(RUN) == Listed(lister=OTHER)


def test_many_parts_are_listed_all_or_none(ledger: DynamoDbLedger, fleet: FleetTable) -> None:
    parts = [Part(number, "k" * 1024, "k" * 1024, 1000) for number in range(1, 100)]
    fleet.take_listing(RUN, ONE, "")
    with pytest.raises(NotListerError):
        fleet.list_parts(RUN, parts, Listed(lister=OTHER).behind(*parts))
    assert list(ledger.open_parts(RUN)) == []
    fleet.list_parts(RUN, parts, Listed(lister=ONE).behind(*parts))
    assert list(ledger.open_parts(RUN)) == parts


@pytest.mark.parametrize("before", ["", OTHER])
def test_a_taken_listing_whose_answer_is_lost_is_taken(
    ledger: DynamoDbLedger, fleet: FleetTable, lose_answers: Callable[..., None], before: str
) -> None:
    if before:
        fleet.take_listing(RUN, before, "")
    lose_answers(2)
    assert fleet.take_listing(RUN, ONE, before)
    assert ledger.listed(RUN).lister == ONE


def test_a_listing_that_is_taken_away_before_the_answer_is_not_taken(
    ledger: DynamoDbLedger, fleet: FleetTable, lose_answers: Callable[..., None]
) -> None:
    def take_away() -> None:
        assert fleet.take_listing(RUN, OTHER, ONE)

    lose_answers(between=take_away)
    assert not fleet.take_listing(RUN, ONE, "")
    assert ledger.listed(RUN).lister == OTHER


def test_parts_whose_answer_is_lost_are_listed_once(
    ledger: DynamoDbLedger, lose_answers: Callable[..., None]
) -> None:
    listed = list_parts(ledger, PARTS[0], lister=ONE)
    further = listed.behind(*PARTS[1:])
    lose_answers(2)
    wait(ledger.list_parts(RUN, PARTS[1:], further))
    assert list(ledger.open_parts(RUN)) == PARTS
    assert ledger.listed(RUN) == further
    assert ledger.label_counts(RUN).parts == 0


def test_parts_whose_answer_is_lost_are_listed_though_another_lists_by_now(
    ledger: DynamoDbLedger, fleet: FleetTable, lose_answers: Callable[..., None]
) -> None:
    """The one before hears that it is not the lister; the other has found its parts."""
    listed = list_parts(ledger, PARTS[0], lister=ONE)
    further = listed.behind(PARTS[1])
    lose_answers(between=lambda: fleet.take_listing(RUN, OTHER, ONE))
    with pytest.raises(NotListerError):
        ledger.list_parts(RUN, [PARTS[1]], further).result(0)
    assert ledger.listed(RUN) == replace(further, lister=OTHER)
    assert list(ledger.open_parts(RUN)) == PARTS[:2]


def test_a_listing_that_cannot_be_kept_is_told(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    listed = list_parts(ledger, PARTS[0], lister=ONE)
    sandbox.faults.append(Fault("TransactWriteItems", "AccessDeniedException"))
    with pytest.raises(RunError, match="permission denied"):
        ledger.list_parts(RUN, PARTS[1:], listed.behind(*PARTS[1:])).result(0)


# --- whose a part is -----------------------------------------------------------------------------


def test_a_part_is_taken_by_one(open_again: Open) -> None:
    first, second = open_again(), open_again()
    list_parts(first, *PARTS)
    assert first.fleet.part(RUN, 2) == PARTS[1]
    assert first.fleet.take_part(RUN, 2, ONE, "")
    assert not second.fleet.take_part(RUN, 2, OTHER, "")
    assert second.fleet.part(RUN, 2) == replace(PARTS[1], by=ONE)
    assert [part.by for part in second.open_parts(RUN)] == ["", ONE, ""]
    # when that is dead, another has it
    assert second.fleet.take_part(RUN, 2, OTHER, ONE)
    assert not first.fleet.take_part(RUN, 2, "", ONE), "what it has no more it cannot give back"
    assert second.fleet.part(RUN, 2) == replace(PARTS[1], by=OTHER)
    # and gives it back
    assert second.fleet.take_part(RUN, 2, "", OTHER)
    assert list(first.open_parts(RUN)) == PARTS


def test_of_many_at_once_one_has_the_part(open_again: Open) -> None:
    list_parts(open_again(), *PARTS)
    workers = [f"{number:012}" for number in range(8)]
    fleets = [open_again().fleet for _ in workers]
    together = threading.Barrier(len(workers))

    def take(fleet: FleetTable, worker: str) -> bool:
        together.wait(30)
        return fleet.take_part(RUN, 1, worker, "")

    with ThreadPoolExecutor(len(workers)) as pool:
        took = [*pool.map(take, fleets, workers)]
    part = fleets[0].part(RUN, 1)
    assert part
    assert [worker for worker, done in zip(workers, took, strict=True) if done] == [part.by]


def test_a_part_that_is_done_or_not_listed_is_nobodys(
    ledger: DynamoDbLedger, fleet: FleetTable
) -> None:
    list_parts(ledger, *PARTS)
    assert fleet.take_part(RUN, 1, ONE, "")
    wait(ledger.end_part(RUN, 1))
    for number in (1, 4, 10**12 - 1):
        assert fleet.part(RUN, number) is None
        assert not fleet.take_part(RUN, number, OTHER, "")
        assert not fleet.take_part(RUN, number, OTHER, ONE)
        assert not fleet.take_part(RUN, number, "", ONE)
    assert not fleet.take_part("tuesday", 2, ONE, "")
    # none of it has made one
    assert list(ledger.open_parts(RUN)) == PARTS[1:]
    assert list(ledger.open_parts("tuesday")) == []
    assert ledger.label_counts(RUN).parts == 1


def test_a_part_is_done_whoever_has_it(open_again: Open) -> None:
    """All is decided and sent: that it was taken for dead meanwhile changes nothing."""
    first, second = open_again(), open_again()
    list_parts(first, *PARTS)
    assert first.fleet.take_part(RUN, 1, ONE, "")
    assert second.fleet.take_part(RUN, 1, OTHER, ONE)
    wait(first.end_part(RUN, 1), second.end_part(RUN, 1))
    assert [each.label_counts(RUN).parts for each in (first, second)] == [1, 1]


@pytest.mark.parametrize(("by", "worker"), [("", ONE), (OTHER, ONE), (ONE, "")])
def test_a_taken_part_whose_answer_is_lost_is_taken(
    ledger: DynamoDbLedger,
    fleet: FleetTable,
    lose_answers: Callable[..., None],
    by: str,
    worker: str,
) -> None:
    list_parts(ledger, *PARTS)
    if by:
        fleet.take_part(RUN, 1, by, "")
    lose_answers(2)
    assert fleet.take_part(RUN, 1, worker, by)
    assert fleet.part(RUN, 1) == replace(PARTS[0], by=worker)


def test_a_part_that_is_taken_away_before_the_answer_is_not_taken(
    ledger: DynamoDbLedger, fleet: FleetTable, lose_answers: Callable[..., None]
) -> None:
    list_parts(ledger, *PARTS)
    lose_answers(between=lambda: fleet.take_part(RUN, 1, OTHER, ONE))
    assert not fleet.take_part(RUN, 1, ONE, "")
    assert fleet.part(RUN, 1) == replace(PARTS[0], by=OTHER)
