"""The doctor's points, where AWS's own answers are needed that no sandbox gives."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.doctor import account, images, storage
from console.doctor.finding import Finding, Point, Verdict
from console.doctor.tools import Clock, DoctorSettings, Tools
from tests.unit.conftest import MakeCalls
from tests.unit.fakes import FakeS3, Scripted, client, client_error, etag, png
from workers.answer import LabelAnswer
from workers.ledger import open_ledger
from workers.model import Picture

Check = Callable[[Tools], str]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def tools(tmp_path: Path, make_calls: MakeCalls) -> Callable[..., Tools]:
    """Makes what the checks ask with, on these clients."""

    def make(clients: dict[str, Any] | None = None, **fields: Any) -> Tools:
        settings = DoctorSettings(
            _cli_parse_args=[],
            bucket="photos",
            queue_url="http://queue.test/1/index",
            state_dir=tmp_path / "state",
            **fields,
        )
        calls = make_calls(settings.model_copy(update={"retry_seconds": 0.05}))
        return Tools(settings, calls, Clock(lambda: NOW), clients or {})

    return make


def finding(check: Check, tools: Tools, optional: bool = False) -> Finding:
    return Point("it", lambda: check(tools), optional).examine()


# --- quotas ---------------------------------------------------------------------------------------


def _quotas(**values: float) -> dict[str, Any]:
    """A page of Service Quotas, in its words."""
    name = "Transactions per second per account for the Amazon Rekognition Image operation {}"
    return {"Quotas": [{"QuotaName": name.format(n), "Value": v} for n, v in values.items()]}


def test_the_real_quotas_stand_beside_the_setting(tools: Callable[..., Tools]) -> None:
    pages = Scripted(
        {**_quotas(CompareFaces=1.0, DetectLabels=50.0), "NextToken": "more"},
        _quotas(DetectText=25.0),
    )
    asked = tools({"service-quotas": client(list_service_quotas=pages)}, quota=25)
    found = finding(account.quotas, asked)
    assert found.verdict is Verdict.RIGHT
    assert found.text == "DetectLabels 50, DetectText 25 calls a second; CARTEXT_QUOTA is 25"
    assert pages.requests[1] == {"ServiceCode": "rekognition", "NextToken": "more"}


def test_a_quota_that_the_account_does_not_have_is_wrong(tools: Callable[..., Tools]) -> None:
    pages = Scripted(_quotas(DetectLabels=5.0, DetectText=5.0))
    asked = tools({"service-quotas": client(list_service_quotas=pages)})
    found = finding(account.quotas, asked)
    assert found.verdict is Verdict.WRONG
    assert "DetectLabels is allowed 5 calls a second, CARTEXT_QUOTA is 50" in found.text
    assert "CARTEXT_QUOTA=5" in found.remedy


def test_quotas_under_other_names_are_not_known(tools: Callable[..., Tools]) -> None:
    asked = tools({"service-quotas": client(list_service_quotas=Scripted(_quotas(Other=5.0)))})
    found = finding(account.quotas, asked)
    assert (found.verdict, found.remedy) == (Verdict.UNKNOWN, "look there by hand")


# --- the clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "verdict", "text"),
    [
        (timedelta(seconds=2), Verdict.RIGHT, "2 s off AWS's"),
        (timedelta(seconds=-200), Verdict.RIGHT, "3 min 20 s off AWS's"),
        (timedelta(minutes=5), Verdict.WRONG, "5 min ahead of AWS's"),
        (timedelta(hours=-2), Verdict.WRONG, "2 h behind AWS's"),
    ],
)
def test_the_clock_is_compared_with_the_date_of_an_answer(
    ahead: timedelta, verdict: Verdict, text: str, tools: Callable[..., Tools]
) -> None:
    asked = tools()
    handlers: list[Callable[..., None]] = []
    events = SimpleNamespace(register=lambda _, handler: handlers.append(handler))
    asked.clock.watch(SimpleNamespace(meta=SimpleNamespace(events=events)))
    date = format_datetime(NOW - ahead, usegmt=True)
    handlers[0](http_response=SimpleNamespace(headers={"date": date}), parsed={})
    found = finding(account.clock, asked)
    assert found.verdict is verdict
    assert text in found.text
    assert ("time synchronisation" in found.remedy) is (verdict is Verdict.WRONG)


# --- the queue ------------------------------------------------------------------------------------


def test_dead_letters_that_may_not_be_looked_at_are_no_fault(tools: Callable[..., Tools]) -> None:
    arn = "arn:aws:sqs:us-east-1:1:index-dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 50})
    own = {"Attributes": {"RedrivePolicy": policy, "MessageRetentionPeriod": "1209600"}}
    asked = Scripted(own, client_error("AccessDenied", 403))
    found = finding(storage.queue, tools({"sqs": client(get_queue_attributes=asked)}))
    assert found.verdict is Verdict.RIGHT
    assert "dead letters go to index-dead" in found.text
    assert asked.requests[1]["QueueUrl"] == "http://queue.test/1/index-dead"


# --- images ---------------------------------------------------------------------------------------


class _KmsS3(FakeS3):
    def get_object(self, **request: Any) -> Any:
        key = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:…:key/1"}
        return {**super().get_object(**request), **key}


def test_the_key_of_an_encrypted_image_is_named(tools: Callable[..., Tools]) -> None:
    found = finding(images.image, tools({"s3": _KmsS3({"notes": b"x", "a.png": png()})}))
    assert found.verdict is Verdict.RIGHT
    assert found.text.startswith("a.png is readable")
    assert "arn:aws:kms:…:key/1" in found.text


def test_a_picture_that_is_none_is_told_but_not_wrong(tools: Callable[..., Tools]) -> None:
    found = finding(images.image, tools({"s3": FakeS3({"notes.txt": b"no picture"})}))
    assert found.verdict is Verdict.RIGHT
    assert "wrong format" in found.text


def test_a_bucket_too_large_to_count_is_not_known(
    tools: Callable[..., Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LISTING_SECONDS", -1)
    s3 = FakeS3({f"{n}.jpg": b"x" for n in range(30)}, page_size=10)
    found = finding(images.budget, tools({"s3": s3}, budget_dollars=1))
    assert (found.verdict, found.remedy) == (Verdict.UNKNOWN, "cartext plan lists all")
    assert "more than 10 images" in found.text
    found = finding(images.budget, tools({"s3": s3}, budget_dollars=0.001))
    assert found.verdict is Verdict.WRONG, "what is counted is over it already"


def test_without_a_budget_it_says_what_a_run_may_cost(tools: Callable[..., Tools]) -> None:
    found = finding(images.budget, tools({"s3": FakeS3({"1.jpg": b"x"})}))
    assert found.verdict is Verdict.UNKNOWN
    assert "1 images, 0 of them answered, may cost $0.0020, and no budget holds it" in found.text


def test_what_is_answered_is_within_every_budget(tools: Callable[..., Tools]) -> None:
    asked = tools({"s3": FakeS3({"1.jpg": b"x"})}, budget_dollars=0)
    assert finding(images.budget, asked).verdict is Verdict.WRONG
    with closing(open_ledger(asked.settings)) as ledger:
        ledger.keep(Picture(etag(b"x"), 1), LabelAnswer(55.0, "3.0", ())).result()
    found = finding(images.budget, asked)
    assert found.verdict is Verdict.RIGHT
    assert "1 images, 1 of them answered, may cost $0.00, the budget is $0.00" in found.text


def test_a_ledger_of_the_version_before_is_right_and_what_it_saves_not_known(
    tools: Callable[..., Tools], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite3")) as old:
        old.execute("PRAGMA user_version = 2")
    asked = tools({"s3": FakeS3({"1.jpg": b"x"})}, budget_dollars=1)
    assert finding(storage.ledger, asked).verdict is Verdict.RIGHT
    found = finding(images.budget, asked)
    assert found.verdict is Verdict.UNKNOWN
    assert "of the version before" in found.text


# --- the machine ----------------------------------------------------------------------------------


def test_a_disk_without_room_is_wrong(
    tools: Callable[..., Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    found = finding(storage.disk, tools())
    assert found.verdict is Verdict.WRONG
    assert "5.0 MB left" in found.text


def test_a_ledger_of_somebody_elses_is_wrong(
    tools: Callable[..., Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tools()
    asked.settings.state_dir.mkdir()
    (asked.settings.state_dir / "ledger.sqlite3").touch()
    monkeypatch.setattr(storage.os, "access", lambda *_: False)
    found = finding(storage.ledger, asked)
    assert found.verdict is Verdict.WRONG
    assert "the workers' user" in found.remedy


def test_nothing_is_left_in_the_state_folder(tools: Callable[..., Tools]) -> None:
    asked = tools()
    asked.settings.state_dir.mkdir()
    assert finding(storage.disk, asked).verdict is Verdict.RIGHT
    assert finding(storage.ledger, asked).verdict is Verdict.RIGHT
    assert list(asked.settings.state_dir.iterdir()) == []


def test_a_fault_of_its_own_is_a_finding_too(tools: Callable[..., Tools]) -> None:
    found = finding(lambda _: str(1 / 0), tools())
    assert found.verdict is Verdict.UNKNOWN
    assert "ZeroDivisionError" in found.text
