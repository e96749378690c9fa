"""What only the ledger in DynamoDB has: many writers, lost answers, batches, size limits."""

from __future__ import annotations

import random
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.aws.server import Fault, Sandbox
from tests.contract.conftest import (
    LINES,
    LISTER,
    RUN,
    all_of,
    decision,
    dies_untold,
    indexes_in,
    list_parts,
    open_table,
    result,
    settings,
    wait,
)
from workers.answer import TextAnswer
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.ending import expected, finished
from workers.errors import OutageError, RunError
from workers.index_queue.queue import IndexQueue
from workers.ledger import SqliteLedger, open_ledger
from workers.ledger.dynamodb import items as items_of
from workers.ledger.dynamodb import ledger as ledger_module
from workers.ledger.dynamodb import progress as progress_module
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.model import Box, Label, LabelCounts, Part, Picture, RunEnd, RunProgress, TextLine
from workers.output.rows import result_row
from workers.resend import resend
from workers.threads.stop import Stop

Open = Callable[..., DynamoDbLedger]


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


def indexes(count: int) -> list[str]:
    return [f"trip/{number + 1}.jpg" for number in range(count)]


def complete(ledger: DynamoDbLedger, names: list[str]) -> list[Future[None]]:
    return [ledger.complete([result(name, LINES)]) for name in names]


def items(sandbox: Sandbox, kind: str) -> list[Any]:
    found = sandbox.client("dynamodb").scan(TableName="ledger")["Items"]
    return [item for item in found if item["pk"]["S"].startswith(f"{RUN}/{kind}")]


def after(operation: Callable[..., Any], error: Exception, times: int = 1) -> Callable[..., Any]:
    """Does what it is asked to, but the first answers are lost."""
    left = times

    def answer(**request: Any) -> Any:
        nonlocal left
        reply = operation(**request)
        if left:
            left -= 1
            raise error
        return reply

    return answer


def lose_answers(client: Any, times: int = 1) -> None:
    lost = ConnectionClosedError(endpoint_url="http://table.test")
    for name in ("batch_execute_statement", "transact_write_items", "put_item"):
        setattr(client, name, after(getattr(client, name), lost, times))


def tell(*ledgers: DynamoDbLedger) -> None:
    """Has the others know what these have done by now."""
    wait(*(ledger.sent([]) for ledger in ledgers))


def kept_requests(client: Any, *operations: str) -> list[Any]:
    """The requests of these operations that are made from now on."""
    requests: list[Any] = []
    for name in operations:
        real = getattr(client, name)

        def keep(real: Any = real, **request: Any) -> Any:
            requests.append(request)
            return real(**request)

        setattr(client, name, keep)
    return requests


# --- exactness -----------------------------------------------------------------------------------


def test_workers_that_bring_the_same_results_at_once_count_them_once(open_again: Open) -> None:
    workers = [open_again() for _ in range(3)]
    names = indexes(150)
    futures = [complete(worker, names[30 * n :]) for n, worker in enumerate(workers)]
    futures += [complete(worker, names[: 50 * n]) for n, worker in enumerate(workers)]
    for some in futures:
        wait(*some)
    tell(*workers)
    for worker in workers:
        progress = worker.progress(RUN)
        assert (progress.done, progress.with_text, progress.failed) == (150, 150, 0)
        assert indexes_in(worker, RUN) == names


def test_a_lost_answer_is_not_counted_twice(
    ledger: DynamoDbLedger, client: Any, open_again: Open
) -> None:
    lose_answers(client)
    wait(*complete(ledger, indexes(40)))
    wait(*(ledger.decide([decision(name)]) for name in indexes(40)))
    tell(ledger)
    for reader in (ledger, open_again()):
        assert reader.progress(RUN).done == 40
        counts = reader.label_counts(RUN)
        assert (counts.decided, counts.labelled) == (40, 40)


@pytest.mark.parametrize("times", [1, 3])
def test_a_part_whose_ends_answer_is_lost_counts_once(
    ledger: DynamoDbLedger, client: Any, open_again: Open, times: int
) -> None:
    list_parts(ledger, *(Part(number, "", "z", 1) for number in range(1, 5)))
    lose_answers(client, times)
    wait(*(ledger.end_part(RUN, number) for number in (1, 2, 3)))
    for reader in (ledger, open_again()):
        assert reader.label_counts(RUN).parts == 3
        assert [part.number for part in reader.open_parts(RUN)] == [4]


def test_a_decision_whose_answer_is_lost_is_ones_own_and_stands(
    ledger: DynamoDbLedger, client: Any
) -> None:
    labels = [decision(f"{n}.jpg", picture=Picture(f'"{n}"', n), part=4) for n in range(1, 4)]
    near = decision("near.jpg", None, near=Label("Car", 87.5), picture=Picture('"n"', 9))
    plain = decision("none.jpg", None, part=2)
    lose_answers(client)
    assert ledger.decide([*labels, near, plain]).result(30) == [*labels, near, plain]
    assert list(ledger.unsent(RUN, all_of(4))) == labels


def test_what_another_worker_has_decided_stands(open_again: Open) -> None:
    first, second = open_again(), open_again()
    theirs = [
        decision("1.jpg", picture=Picture('"old"', 1), part=2),
        decision("2.jpg", None, picture=Picture('"old"', 1), part=2),
    ]
    wait(first.decide(theirs))
    mine = [
        decision("1.jpg", None, picture=Picture('"new"', 2), part=2),
        decision("2.jpg", picture=Picture('"new"', 2), part=2),
        decision("3.jpg", part=2),
    ]
    stands = second.decide(mine).result(30)
    assert stands[0] == theirs[0]
    # of an image without the label the table does not say more
    assert (stands[1].index, stands[1].part, stands[1].labels) == ("2.jpg", 2, ())
    assert stands[2] == mine[2]
    assert sorted(second.unsent(RUN, all_of(2)), key=str) == [theirs[0], mine[2]]
    tell(first)
    assert second.label_counts(RUN) == LabelCounts(3, 2, 0)


def test_an_image_of_two_parts_is_decided_in_each_of_them(open_again: Open) -> None:
    """A list of keys may have it twice; a part that waited for the other's would never be done."""
    first, second = open_again(), open_again()
    twice = [decision("twice.jpg", part=number) for number in (1, 2)]
    wait(first.decide([twice[0]]))
    assert second.decide([twice[1]]).result(30) == [twice[1]]
    assert second.label_counts(RUN, recount=True) == LabelCounts(1, 1, 0)
    wait(second.sent([twice[1]]))
    # its own part has yet to know that it is sent
    assert list(second.unsent(RUN, all_of(1))) == [twice[0]]
    wait(first.sent([twice[0]]))
    assert [*first.unsent(RUN, all_of(1)), *first.unsent(RUN, all_of(2))] == []


def test_what_a_killed_worker_had_no_time_to_tell_is_counted(open_again: Open) -> None:
    now = 0.0
    killed, watching = dies_untold(open_again()), open_again(clock=lambda: now)
    wait(*complete(killed, indexes(7)))
    replacement = open_again(clock=lambda: now)
    assert replacement.not_done(RUN, indexes(10)) == set(indexes(10)) - set(indexes(7))
    wait(*complete(replacement, indexes(10)), replacement.record_end(RunEnd(RUN, 10)))
    tell(replacement)
    assert replacement.progress(RUN).done == 3
    now = progress_module.STILL_SECONDS
    assert (replacement.progress(RUN).done, replacement.progress(RUN).with_text) == (10, 10)
    # one has counted for all
    assert finished(watching.progress(RUN))


def test_who_only_looks_counts_and_writes_nothing(open_again: Open, client: Any) -> None:
    now = 0.0
    killed, watching = dies_untold(open_again()), open_again(clock=lambda: now, read_only=True)
    wait(killed.complete([result("1.jpg")]), killed.record_end(RunEnd(RUN, 1)))
    writes = kept_requests(client, "put_item")
    for now in (1.0, 10.0, 100.0):  # noqa: B007 - the clock of the ledger
        assert (watching.progress(RUN).done, watching.progress(RUN).expected) == (0, 1)
    assert writes == []


def test_results_are_not_counted_again_and_again(open_again: Open, client: Any) -> None:
    now = 0.0
    ledger = open_again(clock=lambda: now)
    wait(ledger.complete([result("1.jpg")]), ledger.record_end(RunEnd(RUN, 2)))
    queries = kept_requests(client, "query")
    counted = []
    for now in range(1, 60):
        ledger.progress(RUN)
        looked = {each["ExpressionAttributeValues"][":pk"]["S"] for each in queries}
        counted += [now] * (f"{RUN}/result/0" in looked)
        queries.clear()
    assert counted == [4, 10, 28]


def test_a_label_workers_last_decisions_are_in_the_recount(
    open_again: Open, sandbox: Sandbox
) -> None:
    killed, ledger = dies_untold(open_again()), open_again()
    wait(
        killed.decide([decision("1.jpg"), decision("2.gif", None, failure="wrong format")]),
        killed.decide([decision("3.jpg", None, known=True)]),
        ledger.decide([decision("4.jpg", None)]),
    )
    assert ledger.label_counts(RUN).decided == 1
    assert ledger.label_counts(RUN, recount=True) == LabelCounts(4, 1, 1, 1)
    wait(ledger.end_run(RunEnd(RUN, 1)))
    # whoever looks later need not count
    assert open_again().label_counts(RUN) == LabelCounts(4, 1, 1, 1)


@pytest.mark.parametrize("near", [None, Label("Car", 87.5)])
def test_nobody_looks_for_near_ones_where_the_recount_has_found_none(
    open_again: Open, client: Any, near: Label | None
) -> None:
    mine = [decision("1.jpg"), decision("2.jpg", None, near=near)]
    first, later = open_again(), open_again()
    wait(first.decide(mine))
    first.label_counts(RUN, recount=True)
    wait(first.end_run(RunEnd(RUN, 1)))
    later.label_counts(RUN)
    queries = kept_requests(client, "query")
    for ledger in (first, later):
        assert [each.near for each in ledger.near(RUN)] == [near] * bool(near)
    assert bool(queries) is bool(near)


def statements(request: Any) -> list[Any]:
    """What a request inserts, without its keys."""
    return [statement["Parameters"][2:] for statement in request["Statements"]]


def refuse_first(client: Any, code: str, times: int) -> list[Any]:
    """Has the last statement of the first requests fail; returns those requests."""
    real, requests = client.batch_execute_statement, []

    def answer(**request: Any) -> Any:
        requests.append(request)
        if len(requests) > times:
            return real(**request)
        *others, _ = request["Statements"]
        done = real(Statements=others)["Responses"] if others else []
        return {"Responses": [*done, {"Error": {"Code": code, "Message": code}}]}

    client.batch_execute_statement = answer
    return requests


@pytest.mark.parametrize(
    "code", ["TransactionConflict", "ProvisionedThroughputExceeded", "InternalServerError"]
)
def test_a_statement_that_fails_for_now_is_tried_again_and_no_other(
    ledger: DynamoDbLedger, client: Any, code: str
) -> None:
    requests = refuse_first(client, code, 2)
    wait(*complete(ledger, indexes(3)))
    assert ledger.progress(RUN).done == 3
    assert [len(request["Statements"]) for request in requests] == [3, 1, 1]
    assert statements(requests[1]) == statements(requests[2]) == statements(requests[0])[2:]


@pytest.mark.parametrize(
    ("code", "words"),
    [("ValidationError", "ValidationException"), ("AccessDenied", "permission denied")],
)
def test_a_statement_that_can_never_succeed_is_told(
    ledger: DynamoDbLedger, client: Any, code: str, words: str
) -> None:
    refuse_first(client, code, 1)
    with pytest.raises(RunError, match=rf"on the table 'ledger'.*{words}"):
        wait(*complete(ledger, indexes(1)))


def test_an_answer_of_too_few_statements_is_not_believed(
    ledger: DynamoDbLedger, client: Any
) -> None:
    real, answers = client.batch_execute_statement, []

    def answer(**request: Any) -> Any:
        answers.append(real(**request))
        return answers[-1] if len(answers) > 1 else {"Responses": answers[-1]["Responses"][1:]}

    client.batch_execute_statement = answer
    wait(*complete(ledger, indexes(3)))
    assert ledger.progress(RUN).done == 3
    assert len(answers) == 2


def test_a_transaction_that_meets_another_one_is_tried_again(
    ledger: DynamoDbLedger, client: Any
) -> None:
    list_parts(ledger, Part(1, "", "z", 1))
    real, refused = client.transact_write_items, []

    def conflict(**request: Any) -> Any:
        if len(refused) < 2:
            refused.append(request)
            reasons = [{"Code": "None"} for _ in request["TransactItems"]]
            reasons[-1] = {"Code": "TransactionConflict"}
            error = {"Error": {"Code": "TransactionCanceledException", "Message": "conflict"}}
            raise ClientError({**error, "CancellationReasons": reasons}, "TransactWriteItems")
        return real(**request)

    client.transact_write_items = conflict
    wait(ledger.end_part(RUN, 1))
    assert ledger.label_counts(RUN).parts == 1
    assert len(refused) == 2


def test_a_count_that_is_visible_before_its_result_is_not_taken_for_the_whole(
    ledger: DynamoDbLedger, sandbox: Sandbox
) -> None:
    wait(*complete(ledger, indexes(3)))
    item = items(sandbox, "result")[0]
    sandbox.client("dynamodb").delete_item(
        TableName="ledger", Key={"pk": item["pk"], "sk": item["sk"]}
    )
    with pytest.raises(OutageError, match="shows 2 results of 3"):
        list(ledger.results(RUN))


def test_what_others_counted_is_seen_after_a_moment_and_ones_own_at_once(
    open_again: Open,
) -> None:
    now = 0.0
    mine, other = open_again(clock=lambda: now), open_again()
    wait(*complete(mine, indexes(2)))
    assert mine.progress(RUN).done == 2
    wait(*complete(other, indexes(4)[2:]))
    tell(other)
    wait(*complete(mine, indexes(5)[4:]))
    now = 0.9
    assert mine.progress(RUN).done == 3
    now = 1.0
    assert mine.progress(RUN).done == 5
    wait(mine.record_end(RunEnd(RUN, 6)))
    assert expected(mine.progress(RUN)) == 6
    wait(*complete(other, indexes(6)[5:]))
    tell(other)
    assert not finished(mine.progress(RUN))
    # a run's last images are waited for by whole workers
    now += 0.2
    assert finished(mine.progress(RUN))


def test_a_look_while_an_end_is_written_does_not_hide_it(open_again: Open, client: Any) -> None:
    ledger = open_again(clock=lambda: 0.0)
    write = client.put_item

    def look_first(**request: Any) -> Any:
        ledger.progress(RUN)
        return write(**request)

    client.put_item = look_first
    end = RunEnd(RUN, 1)
    wait(ledger.record_end(end))
    assert ledger.progress(RUN) == RunProgress(0, 0, 0, 1)
    wait(ledger.record_foreign_end(RUN))
    assert ledger.progress(RUN) == RunProgress(0, 0, 0, 1, foreign_end=True)


# --- the queue's acknowledgements ----------------------------------------------------------------


def test_what_is_sent_is_told_in_one_write_of_a_part(ledger: DynamoDbLedger, client: Any) -> None:
    decisions = [decision(name, part=n % 2) for n, name in enumerate(indexes(40))]
    wait(ledger.decide(decisions))
    requests = kept_requests(client, "put_item")
    for one in decisions:
        ledger.sent([one])
    tell(ledger)
    told = [request["Item"]["pk"]["S"].removeprefix(RUN) for request in requests]
    assert sorted(name for name in told if name != "/label") == ["/sent/0", "/sent/1"]
    assert [*ledger.unsent(RUN, all_of(0)), *ledger.unsent(RUN, all_of(1))] == []


def test_of_a_part_that_is_done_nobody_says_what_is_sent(
    ledger: DynamoDbLedger, sandbox: Sandbox
) -> None:
    list_parts(ledger, *(Part(number, "", "z", 1) for number in (1, 2)))
    early, late = (decision(f"{number}.jpg", part=number) for number in (1, 2))
    wait(ledger.decide([early, late]), ledger.sent([early]))
    assert len(items(sandbox, "sent")) == 1
    ledger.sent([late])
    wait(ledger.end_part(RUN, 1), ledger.end_part(RUN, 2))
    tell(ledger)
    assert items(sandbox, "sent") == []


def test_what_of_some_decided_ones_is_unsent_is_looked_up_by_their_names(
    ledger: DynamoDbLedger, client: Any
) -> None:
    decisions = [decision(name) for name in indexes(6)]
    wait(ledger.decide([*decisions, decision("none.jpg", None), decision("p.jpg", part=2)]))
    wait(ledger.sent(decisions[:2]))
    queries = kept_requests(client, "query")
    asked = [*indexes(4), "none.jpg", "p.jpg", "undecided.jpg"]
    assert list(ledger.unsent(RUN, all_of(1), asked)) == decisions[2:4]
    assert not any("decided" in each["ExpressionAttributeValues"][":pk"]["S"] for each in queries)


def test_a_decision_that_is_sent_later_is_unsent_until_then(open_again: Open) -> None:
    first = open_again()
    decisions = [decision(name) for name in indexes(250)]
    wait(*(first.decide([one]) for one in decisions))
    first.sent(decisions[:120]).result(30)
    restarted = open_again()
    assert set(restarted.unsent(RUN, all_of(1))) == set(decisions[120:])
    restarted.sent(decisions).result(30)
    assert list(first.unsent(RUN, all_of(1))) == []
    assert first.label_counts(RUN).labelled == 250


def test_a_decision_that_was_there_already_is_sent_all_the_same(open_again: Open) -> None:
    wait(open_again().decide([decision("1.jpg")]))
    again = open_again()
    wait(again.decide([decision("1.jpg")]), again.sent([decision("1.jpg")]))
    assert list(again.unsent(RUN, all_of(1))) == []
    assert again.label_counts(RUN).decided == 1


def test_an_empty_write_waits_for_those_before_it(ledger: DynamoDbLedger) -> None:
    futures = [ledger.decide([decision(name)]) for name in indexes(150)]
    ledger.sent([]).result(30)
    assert all(future.done() for future in futures)


# --- few calls -----------------------------------------------------------------------------------


def test_many_images_share_a_call(ledger: DynamoDbLedger, client: Any) -> None:
    writes = kept_requests(client, "batch_execute_statement")
    wait(*(ledger.decide([decision(name, None)]) for name in indexes(297)))
    assert len(writes) <= 13
    queries = kept_requests(client, "query")
    assert ledger.undecided(RUN, [*indexes(297), "trip/new.jpg"]) == {"trip/new.jpg"}
    assert len(queries) <= 4
    batches = kept_requests(client, "batch_get_item")
    assert len(ledger.not_done(RUN, indexes(297))) == 297
    assert len(batches) == 3


def test_what_somebody_waits_for_takes_along_what_may_wait(
    ledger: DynamoDbLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LINGER_SECONDS", 3600)
    before = ledger.decide([decision("1.jpg", None)])
    waited_for = ledger.decide([decision("2.jpg")])
    # those that come meanwhile do not make it wait for longer
    behind = ledger.decide([decision("3.jpg", None)])
    wait(waited_for)
    assert before.done()
    wait(ledger.sent([]))
    assert behind.done()


def test_a_request_that_is_full_waits_for_nobody(
    ledger: DynamoDbLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LINGER_SECONDS", 3600)
    wait(*(ledger.decide([decision(name, None)]) for name in indexes(25)))


def test_every_read_sees_what_was_written_before_it(ledger: DynamoDbLedger, client: Any) -> None:
    """Without being asked to, DynamoDB may answer with what was there a second ago."""
    requests = kept_requests(client, "get_item", "query")
    batches = kept_requests(client, "batch_get_item")
    ledger.settled(RUN)
    ledger.undecided(RUN, indexes(1))
    ledger.progress(RUN)
    ledger.not_done(RUN, indexes(1))
    ledger.listed(RUN)
    list(ledger.open_parts(RUN))
    ledger.fleet.part(RUN, 1)
    ledger.fleet.beats("label")
    ledger.answers("text", [Picture('"a"', 1)])
    requests += [batch["RequestItems"]["ledger"] for batch in batches]
    assert [request["ConsistentRead"] for request in requests] == [True] * 9


def test_a_list_of_keys_in_no_order_does_not_read_all_that_is_decided(
    ledger: DynamoDbLedger, client: Any
) -> None:
    wait(ledger.decide([decision(index, None) for index in indexes(200)]))
    part = ["trip/1.jpg", "trip/100.jpg", "trip/99.jpg", "trip/new.jpg"]
    read, real = [], client.query

    def count(**request: Any) -> Any:
        read.append(len((answer := real(**request))["Items"]))
        return answer

    client.query = count
    assert ledger.undecided(RUN, part) == {"trip/new.jpg"}
    assert sum(read) <= 2 * len(part)


def test_who_knows_which_answers_are_new_reads_the_others_at_half_the_price(
    ledger: DynamoDbLedger, client: Any
) -> None:
    pictures = [Picture(f'"{n}"', n) for n in range(1, 6)]
    for picture in pictures[:4]:
        wait(ledger.keep(picture, TextAnswer(())))
    batches = kept_requests(client, "batch_get_item")
    assert set(ledger.answers("text", pictures, set(pictures[3:]))) == set(pictures[:4])
    asked = [batch["RequestItems"]["ledger"] for batch in batches]
    assert {each["ConsistentRead"]: len(each["Keys"]) for each in asked} == {True: 2, False: 3}


def test_who_knows_which_images_come_again_looks_for_the_others_at_half_the_price(
    ledger: DynamoDbLedger, client: Any
) -> None:
    wait(*complete(ledger, indexes(4)))
    batches = kept_requests(client, "batch_get_item")
    assert ledger.not_done(RUN, indexes(6), {indexes(1)[0]}) == set(indexes(6)[4:])
    asked = [batch["RequestItems"]["ledger"] for batch in batches]
    assert {each["ConsistentRead"]: len(each["Keys"]) for each in asked} == {True: 1, False: 5}


def test_keys_that_were_not_read_are_asked_for_again(ledger: DynamoDbLedger, client: Any) -> None:
    wait(*complete(ledger, indexes(6)))
    real = client.batch_get_item

    def half(**request: Any) -> Any:
        keys = request["RequestItems"]["ledger"]["Keys"]
        request["RequestItems"]["ledger"]["Keys"] = keys[:2]
        left = {"ledger": {"Keys": keys[2:]}} if keys[2:] else {}
        return {**real(**request), "UnprocessedKeys": left}

    client.batch_get_item = half
    assert ledger.not_done(RUN, indexes(8)) == set(indexes(8)[6:])


def test_an_answer_in_pages_is_read_to_its_end(ledger: DynamoDbLedger, client: Any) -> None:
    wait(*complete(ledger, indexes(9)), *(ledger.decide([decision(name)]) for name in indexes(9)))
    query = client.query
    client.query = lambda **request: query(**{**request, "Limit": 2})
    assert indexes_in(ledger, RUN) == indexes(9)
    assert ledger.undecided(RUN, indexes(10)) == {indexes(10)[-1]}
    assert [one.index for one in ledger.unsent(RUN, all_of(1))] == indexes(9)


# --- layout, sizes and order ---------------------------------------------------------------------


def test_results_come_in_the_same_order_as_from_sqlite(
    ledger: DynamoDbLedger, tmp_path: Path
) -> None:
    names = [
        *(f"{number}.jpg" for number in (10, 9, 100, 1, 2)),
        *("01.jpg", "001.jpg", "a", "a1", "a10", "a9", "a b", "a!", "A", "ä/1", "日本/7.jpg"),
        *(f"{'deep/' * 60}{number}.jpg" for number in (10, 9, 1)),
        *("1/" * 400 + end for end in ("2", "10", "1")),
        *("9" * length for length in (1, 300, 1024)),
        "日" * 341,
        "\U0001f697" * 256,
    ]
    on_disk = SqliteLedger(tmp_path / "ledger.sqlite3")
    for name in names:
        on_disk.complete([result(name)])
        ledger.complete([result(name)])
    wait(*(kept.sent([]) for kept in (on_disk, ledger)))
    expected = indexes_in(on_disk, RUN)
    assert indexes_in(ledger, RUN) == expected
    assert len(expected) == len(names)
    assert ledger.not_done(RUN, names) == set()
    on_disk.close()


def test_the_layout_stays_as_it_is(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    """The tables that people have stay readable."""
    car = Label("Car", 97.25, (Box(0.1, 0.2, 0.3, 0.4),))
    found = result("a1.jpg", labels=(car,))
    wait(
        ledger.settle(RUN, {"label": "Car"}),
        ledger.decide([decision("a.jpg", car, picture=Picture('"etag"', 7))]),
        ledger.decide([decision("b.gif", None, failure="wrong format", part=2)]),
        ledger.decide([decision("c.jpg", None, part=2)]),
        ledger.sent([decision("d.jpg", part=2)]),
        ledger.end_run(RunEnd(RUN, 7)),
        ledger.complete([found]),
        ledger.record_end(RunEnd(RUN, 7)),
        ledger.record_foreign_end(RUN),
    )
    list_parts(ledger, Part(1, "", "a.jpg", 1), Part(2, "a.jpg", "b.gif", 1), of=7)
    ledger.fleet.take_part(RUN, 2, "abcdef012345", "")
    wait(ledger.end_part(RUN, 1))
    ledger.fleet.beat("label", "abcdef012345", 5)
    tell(ledger)
    box = '{"left":0.1,"top":0.2,"width":0.3,"height":0.4}'
    labels = f'[{{"name":"Car","confidence":97.25,"boxes":[{box}]}}]'
    picture = {"etag": {"S": '"etag"'}, "size": {"N": "7"}}
    end = {"expected": {"N": "7"}}
    layout = {}
    for item in sandbox.client("dynamodb").scan(TableName="ledger")["Items"]:
        pk, sk = item.pop("pk")["S"], item.pop("sk")["S"]
        if process := item.pop("by", None) if "/decided" in pk or "/result" in pk else None:
            assert re.fullmatch(r"[0-9a-f]{12}/\d+", process["S"])
        if "/sent" in pk or sk.startswith(("tally/", "parts/")):
            sk = re.sub("[0-9a-f]{12}$", "PROCESS", sk)
        layout[pk.removeprefix(RUN), sk] = item
    assert layout == {
        ("/ledger", "version"): {"value": {"N": "4"}},
        ("/run", "label"): {"value": {"S": "Car"}},
        ("/decided/2", "a.jpg"): {**picture, "labels": {"S": labels}, "part": {"N": "1"}},
        ("/decided/3", "b.gif"): {
            "etag": {"S": ""},
            "size": {"N": "0"},
            "failure": {"S": "wrong format"},
            "part": {"N": "2"},
        },
        ("/decided/2", "c.jpg"): {},
        ("/sent/2", "PROCESS"): {"indexes": {"B": zlib.compress(b'["d.jpg"]')}},
        ("/part", "000000000002"): {
            "after": {"S": "a.jpg"},
            "upto": {"S": "b.gif"},
            "images": {"N": "1"},
            "by": {"S": "abcdef012345"},
        },
        ("/label", "listing"): {
            "parts": {"N": "2"},
            "images": {"N": "2"},
            "reached": {"S": "b.gif"},
            "whole": {"N": "0"},
            "of": {"N": "7"},
            "lister": {"S": LISTER},
        },
        ("/label", "tally/PROCESS"): {
            "decided": {"N": "3"},
            "labelled": {"N": "1"},
            "failed": {"N": "1"},
        },
        ("/label", "parts/PROCESS"): {"parts": {"N": "1"}},
        ("/label", "end"): end,
        ("/result/0", "a00011.jpg\x0073d7d06dd93f2278"): {
            "index": {"S": "a1.jpg"},
            "row": {"B": zlib.compress(result_row(found).row.encode())},
        },
        ("/text", "tally/PROCESS"): {"done": {"N": "1"}},
        ("/text", "end"): end,
        ("/text", "foreign-end"): {},
        ("/alive/label", "abcdef012345"): {"beat": {"N": "5"}},
    }


def test_what_an_older_version_has_labelled_is_refused_by_resend(
    ledger: DynamoDbLedger, client: Any, sandbox: Sandbox
) -> None:
    wait(
        ledger.settle(RUN, {"label": "Car"}),
        ledger.decide([decision(name) for name in indexes(3)]),
    )
    # it kept no more than that a decision is made
    pk, sk = items_of.decided_key(RUN, indexes(3)[0])
    client.put_item(TableName="ledger", Item={"pk": {"S": pk}, "sk": {"S": sk}})
    own = settings(run=RUN, queue_url=sandbox.create_queue("index"))
    (sqs,) = make_clients(own, "sqs")
    queue = IndexQueue(sqs, Calls(own, Stop()), own)
    # it asks for neither images nor labels
    services: Any = SimpleNamespace(ledger=ledger, index_queue=queue)
    with pytest.raises(RunError, match=r"^3 images .* names 2 of .*; 2 were sent .* new --run$"):
        resend(own, services, Stop())
    sent = {message.index for message in queue.receive(10, 1)}
    assert sent == set(indexes(3)[1:])


def test_no_request_is_larger_than_dynamodb_takes(ledger: DynamoDbLedger, client: Any) -> None:
    requests = kept_requests(client, "batch_execute_statement")
    write, all_asked = client.batch_execute_statement, threading.Event()

    def hold(**request: Any) -> Any:
        all_asked.wait(60)
        return write(**request)

    client.batch_execute_statement = hold
    noise = random.Random(1)
    lines = [TextLine(noise.randbytes(50_000).hex(), 99.0) for _ in range(90)]
    futures = [ledger.settle(RUN, {"label": "Car"})]
    futures += [ledger.complete([result(f"{n}.jpg", (line,))]) for n, line in enumerate(lines)]
    all_asked.set()
    wait(*futures)
    for request in requests:
        rows = (value.get("B", b"") for values in statements(request) for value in values)
        assert sum(map(len, rows)) < 4_000_000
        assert len(request["Statements"]) <= 25
    assert ledger.progress(RUN).done == 90


def test_the_longest_keys_can_be_decided_about(ledger: DynamoDbLedger) -> None:
    names = ["9" * 1024, "日" * 341, "\U0001f697" * 256]
    wait(*(ledger.decide([decision(name)]) for name in names))
    assert ledger.undecided(RUN, names) == set()
    assert {one.index for one in ledger.unsent(RUN, all_of(1))} == set(names)


def test_a_page_full_of_text_fits_and_comes_back(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    polygon = ((0.1, 0.2), (0.3, 0.2), (0.3, 0.3), (0.1, 0.3))
    lines = tuple(
        TextLine(f"line {number} of a very full notice board ✓", 90 + number / 1000, polygon)
        for number in range(100)
    )
    boxes = tuple(Box(number / 100, 0.25, 0.125, 0.5) for number in range(80))
    results = [result(name, lines, labels=(Label("Car", 99.0, boxes),)) for name in indexes(110)]
    wait(*(ledger.complete([result]) for result in results))
    assert list(ledger.results(RUN)) == list(map(result_row, results))
    assert len(items(sandbox, "result")[0]["row"]["B"]) < 4000


# --- what goes wrong -----------------------------------------------------------------------------


def test_throttling_is_waited_out(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    for operation in ("BatchExecuteStatement", "Query"):
        sandbox.faults.append(Fault(operation, "ProvisionedThroughputExceededException", times=2))
    wait(*complete(ledger, indexes(5)))
    assert ledger.progress(RUN).done == 5


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("ThrottlingException", OutageError, "no answer for 0.3 s"),
        ("InternalServerError", OutageError, "failed for 0.3 s"),
        ("AccessDeniedException", RunError, "permission denied"),
        ("ValidationException", RunError, "table 'ledger' in us-east-1.*pk and sk"),
    ],
)
def test_an_error_goes_into_every_future_of_the_group(
    open_again: Open, sandbox: Sandbox, code: str, kind: type[Exception], words: str
) -> None:
    ledger = open_again(retry_seconds=0.3)
    sandbox.faults += [Fault("BatchExecuteStatement", code), Fault("PutItem", code)]
    futures = complete(ledger, indexes(3))
    futures.append(ledger.sent([decision("1.jpg")]))
    futures.append(ledger.record_end(RunEnd(RUN, 3)))
    for future in futures:
        with pytest.raises(kind, match=words):
            future.result(10)
    sandbox.faults.clear()
    wait(*complete(ledger, indexes(3)))
    assert ledger.progress(RUN).done == 3


def test_a_missing_table_is_named(open_again: Open) -> None:
    ledger = open_again(table="elsewhere")
    words = r"table 'elsewhere' in us-east-1: there is no such table .*check CARTEXT_LEDGER"
    with pytest.raises(RunError, match=words):
        ledger.progress(RUN)
    with pytest.raises(RunError, match=words):
        ledger.decide([decision("1.jpg")]).result(10)


def test_the_url_chooses_the_ledger(open_again: Open, tmp_path: Path) -> None:
    def opened(url: str | None) -> Any:
        return open_ledger(settings(state_dir=tmp_path, ledger=url))

    for url in (None, f"sqlite:///{tmp_path / 'other.db'}", "dynamodb://ledger"):
        ledger = opened(url)
        wait(ledger.decide([decision("1.jpg")]))
        ledger.close()
    assert (tmp_path / "ledger.sqlite3").exists()
    assert (tmp_path / "other.db").exists()
    assert open_again().undecided(RUN, ["1.jpg"]) == set()
