"""What only the ledger in DynamoDB has: many writers, lost answers, transactions, size limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox import dynamodb
from sandbox.server import Fault, Sandbox
from tests.contract.conftest import indexes_in
from workers.aws import AwsCalls
from workers.errors import OutageError, RunError
from workers.ledger import SqliteLedger, open_ledger
from workers.ledger_dynamodb import DynamoDbLedger
from workers.records import Box, Label, LabelDecision, ShardEnd, TextLine, TextResult
from workers.rows import result_row
from workers.settings import Settings
from workers.stop import Stop

RUN = "holidays"
CAR = Label("Car", 97.25, (Box(0.1, 0.2, 0.3, 0.4),))
LINE = TextLine("KXM 473", 99.1, ((0.1, 0.2), (0.3, 0.2), (0.3, 0.3), (0.1, 0.3)))

Open = Callable[..., DynamoDbLedger]


@pytest.fixture
def open_again(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the same table as one more process does."""
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    dynamodb.create_ledger_table(sandbox.client("dynamodb"), "ledger")
    opened: list[DynamoDbLedger] = []

    def open_one(table: str = "ledger", retry_seconds: float = 5) -> DynamoDbLedger:
        settings = Settings(
            bucket="photos", queue_url="http://queue.test/1/index", retry_seconds=retry_seconds
        )
        opened.append(DynamoDbLedger(table, AwsCalls(settings, Stop()), fresh_seconds=0))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_again: Open) -> DynamoDbLedger:
    return open_again()


def indexes(count: int) -> list[str]:
    return [f"trip/{number + 1}.jpg" for number in range(count)]


def decision(index: str, label: Label | None = CAR) -> LabelDecision:
    return LabelDecision(RUN, 0, index, '"etag"', label)


def done(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result(30)


def complete(ledger: DynamoDbLedger, names: list[str]) -> list[Future[None]]:
    return [ledger.complete(TextResult(RUN, name, CAR, (LINE,))) for name in names]


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


# --- exactness -----------------------------------------------------------------------------------


def test_workers_that_bring_the_same_results_at_once_count_them_once(open_again: Open) -> None:
    workers = [open_again() for _ in range(3)]
    names = indexes(150)
    futures = [complete(worker, names[30 * n :]) for n, worker in enumerate(workers)]
    futures += [complete(worker, names[: 50 * n]) for n, worker in enumerate(workers)]
    for some in futures:
        done(some)
    for worker in workers:
        progress = worker.progress(RUN)
        assert (progress.done, progress.with_text, progress.failed) == (150, 150, 0)
        assert indexes_in(worker, RUN) == names


def test_a_lost_answer_is_not_counted_twice(ledger: DynamoDbLedger, open_again: Open) -> None:
    lost = ConnectionClosedError(endpoint_url="http://table.test")
    ledger._client.transact_write_items = after(ledger._client.transact_write_items, lost)
    done(complete(ledger, indexes(40)))
    done([ledger.decide(decision(name)) for name in indexes(40)])
    for reader in (ledger, open_again()):
        assert reader.progress(RUN).done == 40
        counts = reader.label_counts(RUN, 0)
        assert (counts.decided, counts.labelled) == (40, 40)


def test_a_killed_workers_counts_stay(open_again: Open) -> None:
    killed = open_again()
    done(complete(killed, indexes(7)))
    replacement = open_again()
    assert replacement.not_done(RUN, indexes(10)) == set(indexes(10)) - set(indexes(7))
    done(complete(replacement, indexes(10)))
    assert replacement.progress(RUN).done == 10


def test_a_transaction_that_meets_another_one_is_tried_again(ledger: DynamoDbLedger) -> None:
    real, refused = ledger._client.transact_write_items, []

    def conflict(**request: Any) -> Any:
        if len(refused) < 2:
            refused.append(request)
            reasons = [{"Code": "None"} for _ in request["TransactItems"]]
            reasons[-1] = {"Code": "TransactionConflict"}
            error = {"Error": {"Code": "TransactionCanceledException", "Message": ""}}
            raise ClientError({**error, "CancellationReasons": reasons}, "TransactWriteItems")
        return real(**request)

    ledger._client.transact_write_items = conflict
    done(complete(ledger, indexes(3)))
    assert ledger.progress(RUN).done == 3
    assert len(refused) == 2


def test_a_count_that_is_visible_before_its_result_is_not_taken_for_the_whole(
    ledger: DynamoDbLedger, sandbox: Sandbox
) -> None:
    done(complete(ledger, indexes(3)))
    item = items(sandbox, "result")[0]
    sandbox.client("dynamodb").delete_item(
        TableName="ledger", Key={"pk": item["pk"], "sk": item["sk"]}
    )
    with pytest.raises(OutageError, match="shows 2 results of 3"):
        list(ledger.results(RUN))


def test_what_others_counted_is_seen_after_a_moment_and_ones_own_at_once(
    open_again: Open,
) -> None:
    mine, other = open_again(), open_again()
    mine._fresh_seconds = 60
    done(complete(mine, indexes(2)))
    assert mine.progress(RUN).done == 2
    done(complete(other, indexes(4)[2:]))
    done(complete(mine, indexes(5)[4:]))
    assert mine.progress(RUN).done == 3
    mine.record_end(ShardEnd(RUN, 0, 1, 5)).result()
    assert mine.progress(RUN).counted_out


# --- the queue's acknowledgements ----------------------------------------------------------------


def test_a_decision_that_is_sent_at_once_is_one_item(
    ledger: DynamoDbLedger, sandbox: Sandbox
) -> None:
    decisions = [decision(name) for name in indexes(20)]
    futures = [ledger.decide(one) for one in decisions]
    done([*futures, ledger.sent(decisions)])
    assert len(items(sandbox, "decided")) == 20
    assert items(sandbox, "unsent") == []


def test_a_decision_that_is_sent_later_is_unsent_until_then(open_again: Open) -> None:
    first = open_again()
    decisions = [decision(name) for name in indexes(250)]
    done([first.decide(one) for one in decisions])
    first.sent(decisions[:120]).result(30)
    restarted = open_again()
    assert set(restarted.unsent(RUN, 0)) == set(decisions[120:])
    restarted.sent(decisions).result(30)
    assert list(first.unsent(RUN, 0)) == []
    assert first.label_counts(RUN, 0).labelled == 250


def test_a_decision_that_was_there_already_is_sent_all_the_same(open_again: Open) -> None:
    done([open_again().decide(decision("1.jpg"))])
    again = open_again()
    done([again.decide(decision("1.jpg")), again.sent([decision("1.jpg")])])
    assert list(again.unsent(RUN, 0)) == []
    assert again.label_counts(RUN, 0).decided == 1


def test_an_empty_write_waits_for_those_before_it(ledger: DynamoDbLedger) -> None:
    futures = [ledger.decide(decision(name)) for name in indexes(150)]
    ledger.sent([]).result(30)
    assert all(future.done() for future in futures)


# --- few calls -----------------------------------------------------------------------------------


def test_many_images_share_a_call(ledger: DynamoDbLedger) -> None:
    calls: list[str] = []
    for name in ("transact_write_items", "query", "batch_get_item"):
        real = getattr(ledger._client, name)

        def count(real: Any = real, name: str = name, **request: Any) -> Any:
            calls.append(name)
            return real(**request)

        setattr(ledger._client, name, count)
    done([ledger.decide(decision(name, None)) for name in indexes(297)])
    assert calls.count("transact_write_items") <= 4
    assert ledger.undecided(RUN, [*indexes(297), "trip/new.jpg"]) == {"trip/new.jpg"}
    assert calls.count("query") <= 4
    assert len(ledger.not_done(RUN, indexes(297))) == 297
    assert calls.count("batch_get_item") == 3


def test_keys_that_were_not_read_are_asked_for_again(ledger: DynamoDbLedger) -> None:
    done(complete(ledger, indexes(6)))
    real = ledger._client.batch_get_item

    def half(**request: Any) -> Any:
        keys = request["RequestItems"]["ledger"]["Keys"]
        request["RequestItems"]["ledger"]["Keys"] = keys[:2]
        left = {"ledger": {"Keys": keys[2:]}} if keys[2:] else {}
        return {**real(**request), "UnprocessedKeys": left}

    ledger._client.batch_get_item = half
    assert ledger.not_done(RUN, indexes(8)) == set(indexes(8)[6:])


# --- sizes and order -----------------------------------------------------------------------------


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
        on_disk.complete(TextResult(RUN, name))
        ledger.complete(TextResult(RUN, name))
    done([kept.sent([]) for kept in (on_disk, ledger)])
    expected = indexes_in(on_disk, RUN)
    assert indexes_in(ledger, RUN) == expected
    assert len(expected) == len(names)
    assert ledger.not_done(RUN, names) == set()
    on_disk.close()


def test_the_longest_keys_can_be_decided_about(ledger: DynamoDbLedger) -> None:
    names = ["9" * 1024, "日" * 341, "\U0001f697" * 256]
    done([ledger.decide(decision(name)) for name in names])
    assert ledger.undecided(RUN, names) == set()
    assert {one.index for one in ledger.unsent(RUN, 0)} == set(names)


def test_a_page_full_of_text_fits_and_comes_back(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    lines = tuple(
        TextLine(f"line {number} of a very full notice board ✓", 90 + number / 1000, LINE.polygon)
        for number in range(100)
    )
    boxes = tuple(Box(number / 100, 0.25, 0.125, 0.5) for number in range(80))
    results = [TextResult(RUN, name, Label("Car", 99.0, boxes), lines) for name in indexes(110)]
    done([ledger.complete(result) for result in results])
    assert list(ledger.results(RUN)) == list(map(result_row, results))
    assert len(items(sandbox, "result")[0]["row"]["B"]) < 4000


# --- what goes wrong -----------------------------------------------------------------------------


def test_throttling_is_waited_out(ledger: DynamoDbLedger, sandbox: Sandbox) -> None:
    for operation in ("TransactWriteItems", "Query"):
        sandbox.faults.append(Fault(operation, "ProvisionedThroughputExceededException", times=2))
    done(complete(ledger, indexes(5)))
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
    sandbox.faults.append(Fault("TransactWriteItems|PutItem", code))
    futures = complete(ledger, indexes(3))
    futures.append(ledger.sent([decision("1.jpg")]))
    futures.append(ledger.record_end(ShardEnd(RUN, 0, 1, 3)))
    for future in futures:
        with pytest.raises(kind, match=words):
            future.result(10)
    sandbox.faults.clear()
    done(complete(ledger, indexes(3)))
    assert ledger.progress(RUN).done == 3


def test_a_missing_table_is_named(open_again: Open) -> None:
    ledger = open_again("elsewhere")
    words = "no DynamoDB table 'elsewhere' in us-east-1; check CARTEXT_LEDGER"
    with pytest.raises(RunError, match=words):
        ledger.progress(RUN)
    with pytest.raises(RunError, match=words):
        ledger.decide(decision("1.jpg")).result(10)


def test_the_url_chooses_the_ledger(open_again: Open, tmp_path: Path) -> None:
    def opened(url: str | None) -> Any:
        return open_ledger(
            Settings(bucket="photos", queue_url="http://q.test/1/i", state_dir=tmp_path, ledger=url)
        )

    for url in (None, f"sqlite:///{tmp_path / 'other.db'}", "dynamodb://ledger"):
        ledger = opened(url)
        done([ledger.decide(decision("1.jpg"))])
        ledger.close()
    assert (tmp_path / "ledger.sqlite3").exists()
    assert (tmp_path / "other.db").exists()
    assert open_again().undecided(RUN, ["1.jpg"]) == set()
