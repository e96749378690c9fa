"""What a topic is told of a run's end, and how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console import tell
from console.tell import as_message, telling
from tests.unit.fakes import Scripted, client, client_error
from workers.errors import OutageError, OverBudgetError, RunError, StoppedError
from workers.ledger import Ledger, SqliteLedger
from workers.model import NO_PICTURE, Decision, Label, Result, RunEnd, TextLine
from workers.settings import Settings

MakeSettings = Callable[..., Settings]
TOPIC = "arn:aws:sns:us-east-1:123456789012:cartext-alarms"
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
CAR = (Label("Car", 95.0),)


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(topic_arn=TOPIC, run="nightly", worker="cartext-text-1")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(SqliteLedger(settings.state_dir / "ledger.sqlite3")) as opened:
        yield opened


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """SNS, which takes everything."""
    scripted = Scripted({"MessageId": "1"})
    monkeypatch.setattr(tell, "make_clients", lambda *_: [client(publish=scripted)])
    return scripted


def end(
    settings: Settings,
    ledger: Ledger,
    error: BaseException | None = None,
    role: str = "text",
    at: datetime = NOON,
) -> None:
    """A worker ends like this."""
    try:
        with telling(settings, role, ledger, lambda: at):
            if error:
                raise error
    except BaseException as raised:
        assert raised is error
    else:
        assert error is None


def subjects(publish: Scripted) -> list[str]:
    return [request["Subject"] for request in publish.requests]


def test_an_end_is_told_once_whoever_of_a_kind_starts_again(
    settings: Settings, ledger: Ledger, publish: Scripted
) -> None:
    for at in (NOON, NOON + timedelta(days=1)):
        for worker in ("cartext-text-1", "cartext-text-2"):
            end(settings.model_copy(update={"worker": worker}), ledger, at=at)
    end(settings, ledger, role="label")
    assert subjects(publish) == [
        "cartext: finished, run nightly",
        "cartext: every image is looked at, run nightly",
    ]
    assert {request["TopicArn"] for request in publish.requests} == {TOPIC}
    end(settings.model_copy(update={"run": "another"}), ledger)
    assert publish.calls == 3


def test_a_stop_is_told_once_an_hour_and_then_the_end(
    settings: Settings, ledger: Ledger, publish: Scripted
) -> None:
    for minutes in (0, 1, 59, 60, 61):
        outage = OutageError(f"no answer, attempt {minutes}")
        end(settings, ledger, outage, at=NOON + timedelta(minutes=minutes))
    end(settings, ledger, StoppedError(), at=NOON + timedelta(minutes=61))
    end(settings, ledger, at=NOON + timedelta(minutes=61))
    assert [subject.split()[1] for subject in subjects(publish)] == [
        "interrupted,",
        "interrupted,",
        "stopped,",
        "finished,",
    ]


def test_it_has_the_numbers_that_the_ledger_has(
    settings: Settings, ledger: Ledger, publish: Scripted
) -> None:
    ledger.record_end(RunEnd("nightly", 3))
    read = Result("nightly", "1.jpg", CAR, (TextLine("RNN393", 99.0),))
    ledger.complete([read, Result("nightly", "2.jpg", CAR, known=True)]).result()
    end(settings, ledger, StoppedError())
    ledger.complete([Result("nightly", "3.jpg", CAR, failure="gone: it is")]).result()
    ledger.decide([Decision("nightly", 0, f"{number}.jpg", NO_PICTURE) for number in range(9)])
    ledger.end_run(RunEnd("nightly", 3)).result()
    end(settings, ledger)
    stopped, finished = (request["Message"].splitlines() for request in publish.requests)
    assert "text  2 of 3  67 %    ? left  1 with text, 0 failed, 1 known" in stopped
    assert "cost   $0.0010 so far: 1 answers paid for" in stopped
    assert "What the label worker has done and paid, it tells by itself." in stopped
    assert "label  9 of 9  100 %    done  0 with the label, 0 failed, 0 known" in finished
    assert "text   3 of 3  100 %    done  1 with text, 1 failed, 1 known" in finished
    assert "cost   $0.0100 so far: 10 answers paid for" in finished


@pytest.mark.parametrize(
    ("role", "error", "subject", "said"),
    [
        ("label", None, "every image is looked at", "ends with its text worker"),
        ("text", None, "finished", "ansible-playbook fetch.yml -e run=nightly"),
        ("label", OverBudgetError("may cost $34.00"), "over its budget", "may cost $34.00"),
        ("plan", OverBudgetError("may cost $34.00"), "over its budget", "budget_dollars"),
        ("text", RunError("no queue"), "stopped, to be mended", "no queue"),
        ("text", StoppedError(), "stopped", "run.yml -e run=nightly"),
        ("text", OutageError("no answer"), "interrupted", "started again until"),
        ("text", ZeroDivisionError("by zero"), "interrupted", "ZeroDivisionError: by zero"),
    ],
)
def test_a_person_reads_what_happened_and_what_to_do(
    settings: Settings, role: str, error: Exception | None, subject: str, said: str
) -> None:
    told, text = as_message(settings, role, error, "")
    assert told == f"cartext: {subject}, run nightly"
    head, *_, todo = text.splitlines()
    assert head == f"Run nightly over s3://photos/: {subject}, says {role} on cartext-text-1."
    assert said in text
    assert todo.startswith("What to do: ")


def test_sns_takes_the_subject_of_the_longest_run_and_nobodys_control_characters(
    settings: Settings,
) -> None:
    longest = settings.model_copy(update={"run": "x" * 80, "prefix": "a\nb/"})
    subject, text = as_message(longest, "text", RunError("\x1b[2J"), "")
    assert len(subject) == 100
    assert "a\\nb/" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("trouble", [client_error("AuthorizationError"), ValueError("?")])
@pytest.mark.parametrize("error", [None, StoppedError()])
def test_what_cannot_be_told_decides_nothing(
    settings: Settings,
    ledger: Ledger,
    publish: Scripted,
    said: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
    error: Exception | None,
) -> None:
    monkeypatch.setattr(tell, "RETRY_SECONDS", 0.001)
    publish.answers = [trouble]
    end(settings, ledger, error)
    assert [line["event"] for line in said if line["event"] != "retry"] == ["not told"]
    assert "SNS Publish" in said[-1]["reason"]


def test_what_hangs_is_left(
    settings: Settings,
    ledger: Ledger,
    publish: Scripted,
    said: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tell, "LONGEST_SECONDS", 0.01)
    released = threading.Event()
    publish.answers = [lambda **_: {"MessageId": str(released.wait(10))}]
    end(settings, ledger)
    assert [line["event"] for line in said] == ["not told"]
    released.set()
    for thread in threading.enumerate():
        if thread.name == "tell":
            thread.join()


@pytest.mark.parametrize(
    ("error", "told"),
    [(None, 1), (RunError("the disk is full"), 1), (OutageError("no table answers"), 0)],
)
def test_where_the_ledger_fails_only_what_is_not_started_again_is_told(
    settings: Settings,
    ledger: Ledger,
    publish: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    told: int,
) -> None:
    failed: Future[None] = Future()
    failed.set_exception(RunError("the ledger cannot be used"))
    monkeypatch.setattr(ledger, "settle", lambda *_: failed)
    end(settings, ledger, error)
    assert publish.calls == told


def test_without_a_topic_nothing_is_told_or_kept(
    settings: Settings, ledger: Ledger, publish: Scripted
) -> None:
    end(settings.model_copy(update={"topic_arn": None}), ledger)
    assert publish.calls == 0
    assert ledger.settled("nightly") == {}


def test_a_second_ctrl_c_is_no_end(settings: Settings, ledger: Ledger, publish: Scripted) -> None:
    end(settings, ledger, KeyboardInterrupt())
    assert publish.calls == 0
