"""Messages that were lost: the text worker waits, until they are sent again."""

from __future__ import annotations

import pytest

from sandbox.aws.rekognition import service as rekognition
from sandbox.scenes import Sample
from tests.ledger_table import ledger_table
from tests.pair.conftest import Fleet, told_apart

IMAGES = 6


@pytest.fixture
def car(samples: list[Sample]) -> Sample:
    return next(s for s in samples if s.truth.car and len(s.truth.text) == 1)


@pytest.mark.parametrize("ledger", ["sqlite", "dynamodb"])
def test_what_was_lost_is_sent_again_and_read_once(fleet: Fleet, car: Sample, ledger: str) -> None:
    images = [(f"{n}.jpg", told_apart(car, n)) for n in range(IMAGES)]
    fleet.sandbox.create_bucket(fleet.bucket, images)
    more = {}
    if ledger == "dynamodb":
        more = {
            "ledger": ledger_table(fleet.sandbox),
            "parts_queue_url": fleet.sandbox.create_queue("parts"),
        }
    assert fleet.start("label", **more).wait() == 0
    assert _lose(fleet, 2) == 2
    rekognition.reset_counts()
    text = fleet.start("text", **more)
    text.wait_for("end")
    text.wait_for("read")
    assert text.process.poll() is None, "it waits"
    resend = fleet.start("resend", state_dir=fleet.folder / "label", **more)
    assert resend.wait() == 0
    assert text.wait() == 0
    assert len(fleet.results()) == IMAGES
    assert set(rekognition.counts()["DetectText"]["paid"].values()) == {1}


def _lose(fleet: Fleet, images: int) -> int:
    """Takes so many images' messages out of the queue, as their expiry does."""
    sqs, lost = fleet.sandbox.client("sqs"), 0
    while lost < images:
        answer = sqs.receive_message(QueueUrl=fleet.queue, VisibilityTimeout=1)
        for message in answer["Messages"]:
            if message["Body"] != "-1":
                sqs.delete_message(QueueUrl=fleet.queue, ReceiptHandle=message["ReceiptHandle"])
                lost += 1
    return lost


def test_an_end_that_was_lost_comes_again(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [("1.jpg", car.data)])
    assert fleet.start("label").wait() == 0
    fleet.sandbox.client("sqs").purge_queue(QueueUrl=fleet.queue)
    assert fleet.start("resend", state_dir=fleet.folder / "label").wait() == 0
    assert fleet.start("text").wait() == 0
    assert fleet.results().keys() == {"1.jpg"}


def test_a_run_that_the_ledger_does_not_know_is_named(fleet: Fleet) -> None:
    worker = fleet.start("resend", run="unheard-of", state_dir=fleet.folder / "label")
    assert worker.wait() == 78
    assert "no label worker has begun run 'unheard-of'" in worker.log.read_text()
    assert "--state-dir" in worker.log.read_text()
