"""What a subscriber of the topic hears: of a run that finishes, stops, or is over its budget."""

from __future__ import annotations

import json

import pytest

from sandbox.aws.rekognition import service as rekognition
from sandbox.scenes import Sample
from tests.ledger_table import ledger_table
from tests.pair.conftest import Fleet, Worker

RUN = "cartext: {}, run test"


@pytest.fixture
def topic(fleet: Fleet, samples: list[Sample]) -> str:
    """A topic with a queue as its subscriber; the ten scenes are in the bucket."""
    fleet.sandbox.create_bucket(fleet.bucket, [(s.index, s.data) for s in samples])
    sqs, sns = fleet.sandbox.client("sqs"), fleet.sandbox.client("sns")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    topic = str(sns.create_topic(Name="news")["TopicArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    return topic


def heard(fleet: Fleet) -> dict[str, str]:
    """Texts by subject, since the last time; none comes twice."""
    sqs = fleet.sandbox.client("sqs")
    url = sqs.get_queue_url(QueueName="heard")["QueueUrl"]
    messages = []
    while more := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        messages += [json.loads(message["Body"]) for message in more]
        for message in more:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    texts = {message["Subject"]: message["Message"] for message in messages}
    assert len(texts) == len(messages), messages
    return texts


def test_a_run_that_finishes_is_told_with_its_numbers_and_started_again_changes_nothing(
    fleet: Fleet, topic: str, samples: list[Sample]
) -> None:
    pair = fleet.run_pair(topic_arn=topic, worker="here")
    assert [worker.wait() for worker in pair] == [0, 0]
    cars = [s for s in samples if s.truth.car]
    with_text = sum(bool(s.truth.text) for s in cars)
    texts = heard(fleet)
    assert sorted(texts) == [RUN.format("every image is looked at"), RUN.format("finished")]
    looked, finished = (texts[subject].splitlines() for subject in sorted(texts))
    assert finished[0] == "Run test over s3://photos/: finished, says text on here."
    assert any(f"10 of 10  100 %    done  {len(cars)} with the label" in line for line in looked)
    assert "cost   $0.0100 so far: 10 answers paid for" in looked
    assert any(f"done  {with_text} with text, 0 failed" in line for line in finished)
    assert f"{len(cars)} answers paid for" in texts[RUN.format("finished")]

    results, paid = fleet.output("results.jsonl"), rekognition.counts()
    again = fleet.run_pair(topic_arn=topic)
    assert [worker.wait() for worker in again] == [0, 0]
    assert [worker.events[-1]["event"] for worker in again] == ["already finished"] * 2
    assert heard(fleet) == {}
    assert (fleet.output("results.jsonl"), rekognition.counts()) == (results, paid)


def test_a_run_that_is_stopped_is_told_and_then_its_end(fleet: Fleet, topic: str) -> None:
    rekognition.knobs.latency_seconds = 1.0
    try:
        slow = {"topic_arn": topic, "in_flight": 1}
        label = fleet.start("label", **slow)
        label.wait_for("labelled")
        assert label.terminate() == 75
    finally:
        rekognition.knobs.latency_seconds = 0.0
    ((subject, text),) = heard(fleet).items()
    assert subject == RUN.format("stopped")
    assert "stopped before the end" in text
    assert "ansible-playbook run.yml -e run=test" in text
    assert label.events[-1]["event"] == "stopped"
    pair = fleet.run_pair(topic_arn=topic)
    assert [worker.wait() for worker in pair] == [0, 0]
    assert RUN.format("finished") in heard(fleet)


@pytest.mark.parametrize("role", ["label", "plan"])
def test_a_run_over_its_budget_is_told(fleet: Fleet, topic: str, role: str) -> None:
    more = {"tell": True} if role == "plan" else {}
    worker = fleet.start(role, topic_arn=topic, budget_dollars=0.01, **more)
    assert worker.wait() == 78
    ((subject, text),) = heard(fleet).items()
    assert subject == RUN.format("over its budget")
    assert "may cost $0.0200" in text
    assert "more than the budget of $0.0100" in text


def test_a_plan_that_somebody_asks_for_tells_nobody(fleet: Fleet, topic: str) -> None:
    assert fleet.start("plan", topic_arn=topic, budget_dollars=0.01).wait() == 78
    assert heard(fleet) == {}


def test_of_a_fleet_one_worker_of_a_kind_tells(fleet: Fleet, topic: str) -> None:
    fleet_of = {
        "ledger": ledger_table(fleet.sandbox),
        "parts_queue_url": fleet.sandbox.create_queue("parts"),
        "topic_arn": topic,
    }
    workers: list[Worker] = [
        fleet.start(role, **fleet_of, worker=f"{role}-{n}", state_dir=fleet.folder / f"{role}-{n}")
        for n in (1, 2)
        for role in ("label", "text")
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    texts = heard(fleet)
    assert sorted(texts) == [RUN.format("every image is looked at"), RUN.format("finished")]
    finished = texts[RUN.format("finished")].splitlines()
    assert any(line.startswith("label  10 of 10") for line in finished)
    assert any(line.startswith("text ") for line in finished)


def test_a_topic_that_is_not_there_decides_nothing(fleet: Fleet, topic: str) -> None:
    nowhere = topic.replace("news", "nowhere")
    pair = fleet.run_pair(topic_arn=nowhere)
    assert [worker.wait() for worker in pair] == [0, 0]
    for worker in pair:
        assert "SNS Publish: there is no such topic" in worker.last("not told")["reason"]
