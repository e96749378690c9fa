"""How far a run is, read beside its workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.fakes import FakeS3, Scripted, client_error, use_clients
from workers import cli, status
from workers.ledger import Ledger, open_ledger
from workers.records import Label, LabelDecision, ShardEnd, TextLine, TextResult
from workers.settings import Settings
from workers.status import Looker, StatusSettings, as_text
from workers.words import duration_text

QUEUE = "http://queue.test/1/index"
CAR = Label("Car", 95.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A worker's ledger, which stays open for writing."""
    return open_ledger(Settings(bucket="photos", queue_url=QUEUE, state_dir=tmp_path / "state"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LOOK_SECONDS", 0.01)
    use_clients(monkeypatch, {})


def decide(ledger: Ledger, *indexes: str, **fields: Any) -> None:
    for index in indexes:
        ledger.decide(LabelDecision("default", 0, index, **fields)).result()


def complete(ledger: Ledger, *indexes: str, **fields: Any) -> None:
    for index in indexes:
        ledger.complete(TextResult("default", index, CAR, **fields)).result()


def looker(tmp_path: Path, **fields: Any) -> Looker:
    return Looker(StatusSettings(**{"state_dir": tmp_path / "state", **fields}))


def test_without_a_ledger_it_says_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", "--state-dir", str(tmp_path / "none")]) == 78
    assert "--state-dir" in capsys.readouterr().err
    assert not (tmp_path / "none").exists(), "a look makes nothing"


def test_a_ledger_without_this_run_says_so(ledger: Ledger, tmp_path: Path) -> None:
    assert "nothing" in as_text(looker(tmp_path, run="other").look_twice())


def test_both_workers_their_failures_and_the_dollars(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, "1.jpg", "2.jpg", label=CAR)
    decide(ledger, "3.jpg")
    decide(ledger, "4.jpg", "5.jpg", failure="empty: no bytes")
    complete(ledger, "1.jpg", lines=(TextLine("ABC", 99.0),))
    complete(ledger, "2.jpg", failure="gone: no longer there")
    looked = looker(tmp_path).look_twice()
    label, text = looked.label[0], looked.text
    assert (label.done, label.good, label.failed, label.ended) == (5, 2, 2, False)
    assert text
    assert (text.done, text.of, text.good, text.failed) == (2, None, 1, 1)
    assert looked.failures == {"label": {"empty": 2}, "text": {"gone": 1}}
    # three looks and one reading; what failed is not paid for
    assert looked.dollars == pytest.approx(0.004)
    assert not looked.finished
    shown = as_text(looked)
    for part in ("label 1 of 1", "5 of ?", "2 with the label, 2 failed", "gone", "under way"):
        assert part in shown


def test_rate_and_time_left_come_from_two_looks(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_end(ShardEnd("default", 0, 1, 10)).result()
    looking = looker(tmp_path)
    first = looking.look()
    assert first.text
    assert first.text.per_second is None
    assert first.text.seconds_left is None
    complete(ledger, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    second = looking.look()
    assert second.text
    assert second.text.per_second == pytest.approx(4 / (second.seen - first.seen))
    assert second.text.seconds_left == pytest.approx(6 / second.text.per_second)


def test_the_listing_tells_how_many_are_to_be_looked_at(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_clients(monkeypatch, {"s3": FakeS3({f"{n}.jpg": b"1" for n in range(9)})})
    decide(ledger, "1.jpg")
    looking = looker(tmp_path, bucket="photos")
    looking.look()
    assert looking._listing
    looking._listing.join()
    assert looking.look().label[0].of == 9


def test_it_is_finished_when_the_text_worker_is(ledger: Ledger, tmp_path: Path) -> None:
    decide(ledger, "1.jpg", label=CAR)
    ledger.end_shard(ShardEnd("default", 0, 1, 1)).result()
    assert looker(tmp_path).look().finished, "a ledger of the label worker alone"
    ledger.record_end(ShardEnd("default", 0, 1, 1)).result()
    assert not looker(tmp_path).look().finished
    complete(ledger, "1.jpg")
    looked = looker(tmp_path).look()
    assert looked.finished
    assert "finished" in as_text(looked)


def test_a_watch_ends_with_the_run(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.record_end(ShardEnd("default", 0, 1, 2)).result()
    complete(ledger, "1.jpg")
    seen = 0
    for _ in looker(tmp_path).watch():
        seen += 1
        complete(ledger, "2.jpg")
    assert seen == 2
    assert cli.main(["status", "--state-dir", str(tmp_path / "state"), "--watch", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["finished"] for line in lines] == [True]


def test_ctrl_c_ends_a_watch_without_a_trace(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    complete(ledger, "1.jpg")
    monkeypatch.setattr(status.time, "sleep", interrupt)
    assert cli.main(["status", "--state-dir", str(tmp_path / "state"), "--watch"]) == 75


def queue_clients(**more: Any) -> dict[str, Any]:
    redrive = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:1:index-dead"})
    numbers = {
        "ApproximateNumberOfMessages": "7",
        "ApproximateNumberOfMessagesNotVisible": "3",
        "ApproximateNumberOfMessagesDelayed": "1",
    }

    def attributes(**request: Any) -> Any:
        if request["QueueUrl"].endswith("/index-dead"):
            return {"Attributes": {"ApproximateNumberOfMessages": "2"}}
        return {"Attributes": {**numbers, "RedrivePolicy": redrive}}

    points = [
        {"Timestamp": datetime(2026, 1, 1, 0, minute, tzinfo=UTC), "Maximum": float(minute)}
        for minute in (3, 9, 5)
    ]
    return {
        "sqs": SimpleNamespace(get_queue_attributes=Scripted(attributes)),
        "cloudwatch": SimpleNamespace(get_metric_statistics=Scripted({"Datapoints": points})),
        **more,
    }


def test_the_queues_counters(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_clients(monkeypatch, queue_clients())
    complete(ledger, "1.jpg")
    looked = looker(tmp_path, queue_url=QUEUE).look()
    assert vars(looked.queue) == {"waiting": 8, "in_flight": 3, "dead": 2, "oldest_seconds": 9.0}
    assert "8 waiting, 3 in flight, 2 dead; oldest message: 9 s old" in as_text(looked)


def test_what_may_not_be_asked_is_unknown_and_left_alone(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Scripted(client_error("AccessDenied", 403))
    cloudwatch = SimpleNamespace(get_metric_statistics=refusing)
    use_clients(monkeypatch, queue_clients(cloudwatch=cloudwatch))
    complete(ledger, "1.jpg")
    looking = looker(tmp_path, queue_url=QUEUE)
    looking.look()
    looked = looking.look()
    assert refusing.calls == 1
    assert looked.queue
    assert looked.queue.oldest_seconds is None
    assert "oldest message: unknown" in as_text(looked)


def test_a_queue_that_is_not_there_hides_nothing_else(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = SimpleNamespace(get_queue_attributes=Scripted(client_error("ServiceUnavailable", 503)))
    use_clients(monkeypatch, {"sqs": sqs})
    complete(ledger, "1.jpg")
    shown = as_text(looker(tmp_path, queue_url=QUEUE).look())
    assert "unknown waiting" in shown
    assert "1 of ?" in shown


def test_a_bare_end_is_finished_with_the_queue(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record_foreign_end("default").result()
    assert not looker(tmp_path).look().finished
    empty = {"Attributes": dict.fromkeys(status.COUNTERS, "0")}
    use_clients(monkeypatch, {"sqs": SimpleNamespace(get_queue_attributes=Scripted(empty))})
    assert looker(tmp_path, queue_url=QUEUE).look().finished


def test_rows_are_gone_through_only_for_a_new_failure(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "COUNTING_SHARE", 1e9)
    counted: list[int] = []
    count: Callable[..., Any] = status._count
    monkeypatch.setattr(status, "_count", lambda rows, n: counted.append(n) or count(rows, n))
    looking = looker(tmp_path)
    complete(ledger, "1.jpg")
    looking.look()
    complete(ledger, "2.jpg", failure="gone: away")
    looking.look()
    looking.look()
    assert counted == [1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0.2, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (3599.7, "1 h"),
        (12_000, "3 h 20 min"),
        (187_300, "2 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text
