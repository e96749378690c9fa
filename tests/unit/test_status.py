"""How far a run is, read beside its workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console import command as cli
from console.status import command, look
from console.status.look import Looker
from console.status.queue import COUNTERS, QueueLook
from console.status.render import as_text
from console.words import duration_text
from tests.unit.conftest import MakeCalls
from tests.unit.fakes import FakeS3, Scripted, client, client_error
from tests.unit.schemas import read_json
from workers.images.bucket import Bucket
from workers.ledger import Ledger, open_ledger
from workers.model import Decision, Label, Result, RunEnd, TextLine
from workers.settings import Settings

MakeSettings = Callable[..., Settings]
QUEUE = "http://queue.test/1/index"
CAR = (Label("Car", 95.0),)


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    """A worker's ledger, which stays open for writing."""
    return open_ledger(settings)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "LOOK_SECONDS", 0.01)


def decide(ledger: Ledger, *indexes: str, **fields: Any) -> None:
    for index in indexes:
        ledger.decide([Decision("default", 0, index, **fields)]).result()


def complete(ledger: Ledger, *indexes: str, **fields: Any) -> None:
    for index in indexes:
        ledger.complete([Result("default", index, CAR, **fields)]).result()


@pytest.fixture
def looker(settings: Settings) -> Looker:
    """It has the ledger to look at, and nothing else."""
    return Looker(settings)


def test_without_a_ledger_it_says_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", "--state-dir", str(tmp_path / "none")]) == 78
    assert "--state-dir" in capsys.readouterr().err
    assert not (tmp_path / "none").exists(), "a look makes nothing"


@pytest.mark.parametrize(
    "given",
    [
        ("status",),
        ("answers",),
        ("answers", "--import", "-"),
        ("answers", "--ledger", "sqlite:///ledger", "--export", "theirs"),
        ("report", "--images", "theirs"),
        ("export", "--csv", "-"),
    ],
)
def test_what_this_user_may_not_look_at_is_one_line(
    given: tuple[str, ...],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stat = Path.stat

    def refuse(path: Path, **more: Any) -> Any:
        if settings.state_dir in path.parents or path.name == "theirs":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **more)

    open_ledger(settings.model_copy(update={"ledger": "sqlite:///ledger"})).close()
    monkeypatch.setattr(Path, "stat", refuse)
    assert cli.main([*given, "--state-dir", str(settings.state_dir)]) == 78
    said = capsys.readouterr().err
    assert "may not be read by this user; run cartext as" in said
    assert said.count("\n") == 1


def test_a_ledger_without_this_run_says_so(ledger: Ledger, make_settings: MakeSettings) -> None:
    assert "nothing" in as_text(Looker(make_settings(run="other")).look_twice())


def test_both_workers_their_failures_and_the_dollars(ledger: Ledger, looker: Looker) -> None:
    decide(ledger, "1.jpg", "2.jpg", labels=CAR)
    decide(ledger, "3.jpg")
    decide(ledger, "4.jpg", "5.jpg", failure="empty: no bytes")
    complete(ledger, "1.jpg", lines=(TextLine("ABC", 99.0),))
    complete(ledger, "2.jpg", failure="gone: no longer there")
    looked = looker.look_twice()
    label, text = looked.label, looked.text
    assert (label.done, label.good, label.failed, label.ended) == (5, 2, 2, False)
    assert text
    assert (text.done, text.of, text.good, text.failed) == (2, None, 1, 1)
    assert looked.failures == {"label": {"empty": 2}, "text": {"gone": 1}}
    # three looks and one reading; what failed is not paid for
    assert looked.dollars == pytest.approx(0.004)
    assert not looked.finished
    shown = as_text(looked)
    for part in ("label  5 of ?", "2 with the label, 2 failed", "gone", "under way"):
        assert part in shown


def test_what_is_known_is_counted_and_not_paid_for(
    ledger: Ledger, looker: Looker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(ledger, "1.jpg", "2.jpg", labels=CAR)
    decide(ledger, "3.jpg", labels=CAR, known=True)
    complete(ledger, "1.jpg")
    complete(ledger, "2.jpg", "3.jpg", known=True)
    looked = looker.look()
    assert looked.dollars == pytest.approx(0.003)
    shown = as_text(looked)
    assert "3 answers paid for" in shown
    label, text = shown.splitlines()[2:4]
    assert label.endswith("3 with the label, 0 failed, 1 known")
    assert text.endswith("0 with text, 0 failed, 2 known")
    assert cli.main(["status", "--state-dir", str(tmp_path / "state"), "--json"]) == 0
    told = read_json("status", capsys.readouterr().out)
    assert (told["label"]["known"], told["text"]["known"], told["paid"]) == (1, 2, 3)


def test_rate_and_time_left_come_from_two_looks(ledger: Ledger, looker: Looker) -> None:
    ledger.record_end(RunEnd("default", 10)).result()
    first = looker.look()
    assert first.text
    assert first.text.per_second is None
    assert first.text.seconds_left is None
    complete(ledger, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    second = looker.look()
    assert second.text
    assert second.text.per_second == pytest.approx(4 / (second.seen - first.seen))
    assert second.text.seconds_left == pytest.approx(6 / second.text.per_second)


def test_the_listing_tells_how_many_are_to_be_looked_at(
    ledger: Ledger, settings: Settings, make_calls: MakeCalls
) -> None:
    s3: Any = FakeS3({f"{n}.jpg": b"1" for n in range(9)})
    decide(ledger, "1.jpg")
    looker = Looker(settings, bucket=Bucket(s3, make_calls(settings), settings))
    looker.look()
    assert looker._listing
    looker._listing.thread.join()
    assert looker.look().works[0].of == 9


def test_a_listing_without_an_answer_ends_with_the_look(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings: list[Any] = []

    class Kept(look._Listing):
        def __init__(self, bucket: Bucket) -> None:
            listings.append(self)
            super().__init__(bucket)

    away = client(list_objects_v2=Scripted(client_error("ServiceUnavailable", 503)))
    monkeypatch.setattr(look, "_Listing", Kept)
    monkeypatch.setattr(command, "make_clients", lambda *_: (client(), client(), away))
    decide(ledger, "1.jpg")
    given = ["--state-dir", str(tmp_path / "state"), "--bucket", "photos"]
    assert cli.main(["status", *given, "--retry-seconds", "30"]) == 0
    (listing,) = listings
    listing.thread.join(10)
    assert not listing.thread.is_alive()


def test_a_listing_that_gets_no_thread_any_more_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Late:
        def pages(self) -> list[Any]:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    bucket: Any = Late()
    look._Listing(bucket).thread.join()
    assert said == []


def test_it_is_finished_when_the_text_worker_is(ledger: Ledger, looker: Looker) -> None:
    decide(ledger, "1.jpg", labels=CAR)
    ledger.end_run(RunEnd("default", 1)).result()
    assert looker.look().finished, "a ledger of the label worker alone"
    ledger.record_end(RunEnd("default", 1)).result()
    assert not looker.look().finished
    complete(ledger, "1.jpg")
    looked = looker.look()
    assert looked.finished
    assert "finished" in as_text(looked)


def test_what_is_asked_for_by_hand_is_beside_what_the_end_counts(
    ledger: Ledger, looker: Looker
) -> None:
    ledger.record_end(RunEnd("default", 10)).result()
    looker.look()
    complete(ledger, *"abcdef", by_hand=True)
    complete(ledger, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    looked = looker.look()
    assert looked.text
    assert looked.text.per_second
    assert (looked.text.done, looked.text.of) == (10, 16)
    assert looked.text.seconds_left == pytest.approx(6 / looked.text.per_second)
    assert "text  10 of 16  62 %" in as_text(looked)


def test_a_watch_ends_with_the_run(
    ledger: Ledger, looker: Looker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.record_end(RunEnd("default", 2)).result()
    complete(ledger, "1.jpg")
    seen = 0
    for _ in looker.watch():
        seen += 1
        complete(ledger, "2.jpg")
    assert seen == 2
    assert cli.main(["status", "--state-dir", str(tmp_path / "state"), "--watch", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [read_json("status", line)["finished"] for line in lines] == [True]


def test_ctrl_c_ends_a_watch_without_a_trace(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    complete(ledger, "1.jpg")
    monkeypatch.setattr(look.time, "sleep", interrupt)
    assert cli.main(["status", "--state-dir", str(tmp_path / "state"), "--watch"]) == 75


AGES = {
    "Datapoints": [
        {"Timestamp": datetime(2026, 1, 1, 0, minute, tzinfo=UTC), "Maximum": float(minute)}
        for minute in (3, 9, 5)
    ]
}
EMPTY = {"Attributes": dict.fromkeys(COUNTERS, "0")}


def attributes(**request: Any) -> Any:
    """Those of a queue, and of its dead-letter queue."""
    if request["QueueUrl"].endswith("/index-dead"):
        return {"Attributes": {"ApproximateNumberOfMessages": "2"}}
    redrive = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:1:index-dead"})
    return {"Attributes": {**dict(zip(COUNTERS, "731", strict=True)), "RedrivePolicy": redrive}}


@pytest.fixture
def with_queue(settings: Settings, make_calls: MakeCalls) -> Callable[..., Looker]:
    """Makes a looker whose SQS and CloudWatch answer so."""

    def make(sqs: Any = attributes, cloudwatch: Any = AGES) -> Looker:
        queue = QueueLook(
            client(get_queue_attributes=Scripted(sqs)),
            client(get_metric_statistics=Scripted(cloudwatch)),
            make_calls(settings.model_copy(update={"retry_seconds": 0.01})),
            settings.queue_url,
        )
        return Looker(settings, queue)

    return make


def test_the_queues_counters(ledger: Ledger, with_queue: Callable[..., Looker]) -> None:
    complete(ledger, "1.jpg")
    looked = with_queue().look()
    assert vars(looked.queue) == {"waiting": 8, "in_flight": 3, "dead": 2, "oldest_seconds": 9.0}
    assert "8 waiting, 3 in flight, 2 dead; oldest message: 9 s old" in as_text(looked)


def test_what_may_not_be_asked_is_unknown_and_left_alone(
    ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    refusing = Scripted(client_error("AccessDenied", 403))
    complete(ledger, "1.jpg")
    looker = with_queue(cloudwatch=refusing)
    looker.look()
    looked = looker.look()
    assert refusing.calls == 1
    assert looked.queue
    assert looked.queue.oldest_seconds is None
    assert "oldest message: unknown" in as_text(looked)


def test_a_queue_that_is_not_there_hides_nothing_else(
    ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    complete(ledger, "1.jpg")
    shown = as_text(with_queue(sqs=client_error("ServiceUnavailable", 503)).look())
    assert "unknown waiting" in shown
    assert "1 of ?" in shown


@pytest.mark.parametrize(
    "broken",
    [
        dict.fromkeys(COUNTERS[1:], "0"),
        dict.fromkeys(COUNTERS, "many"),
        {**EMPTY["Attributes"], "RedrivePolicy": "{}"},
    ],
)
def test_an_answer_that_lacks_a_counter_is_unknown(
    broken: dict[str, str], ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    complete(ledger, "1.jpg")
    looked = with_queue(sqs={"Attributes": broken}).look()
    assert vars(looked.queue) == dict.fromkeys(("waiting", "in_flight", "dead", "oldest_seconds"))


def test_a_dead_letter_queue_that_lacks_its_counter_is_unknown(
    ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    def no_dead(**request: Any) -> Any:
        dead = request["QueueUrl"].endswith("/index-dead")
        return {"Attributes": {}} if dead else attributes(**request)

    complete(ledger, "1.jpg")
    looked = with_queue(sqs=no_dead).look()
    assert looked.queue
    assert (looked.queue.waiting, looked.queue.dead) == (8, None)


def test_a_bare_end_is_finished_with_the_queue(
    ledger: Ledger, looker: Looker, with_queue: Callable[..., Looker]
) -> None:
    ledger.record_foreign_end("default").result()
    assert not looker.look().finished
    assert not with_queue().look().finished
    assert with_queue(EMPTY).look().finished


def test_ends_that_contradict_what_is_done_are_finished_with_the_queue(
    ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    for index in ("1.jpg", "2.jpg"):
        complete(ledger, index)
    ledger.record_end(RunEnd("default", 1)).result()
    looked = with_queue().look()
    assert not looked.finished
    assert "2 of ?" in as_text(looked)
    assert with_queue(EMPTY).look().finished


def test_a_bare_end_says_nothing_where_an_end_has_a_count(
    ledger: Ledger, with_queue: Callable[..., Looker]
) -> None:
    ledger.record_foreign_end("default").result()
    ledger.record_end(RunEnd("default", 1)).result()
    assert not with_queue(EMPTY).look().finished


def test_without_a_region_the_ledger_still_tells(
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    complete(ledger, "1.jpg")
    state = str(tmp_path / "state")
    assert cli.main(["status", "--state-dir", state, "--queue-url", QUEUE]) == 0
    assert "unknown: give --queue-url, and set AWS_REGION" in capsys.readouterr().out


def test_rows_are_gone_through_only_for_a_new_failure(
    ledger: Ledger, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "COUNTING_SHARE", 1e9)
    counted: list[int] = []
    count: Callable[..., Any] = look._count
    monkeypatch.setattr(look, "_count", lambda rows, n: counted.append(n) or count(rows, n))
    complete(ledger, "1.jpg")
    looker.look()
    complete(ledger, "2.jpg", failure="gone: away")
    looker.look()
    looker.look()
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
