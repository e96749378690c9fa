"""The index queue against the sandbox's SQS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from console.services import open_bucket
from sandbox.aws.server import MAX_RECEIVES, Fault, Sandbox
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import RunError
from workers.index_queue.messages import Received, attribute, end_entry, image_entry, unsendable
from workers.index_queue.queue import IndexQueue
from workers.index_queue.sender import IndexSender
from workers.model import Box, Decision, Label, Picture, RunEnd
from workers.settings import Settings
from workers.threads.stop import Stop

RUN = "monday"
PICTURE = Picture('"etag"', 7)
CAR = Label("Car", 97.25, (Box(0.1, 0.2, 0.3, 0.4),))
ODD = [
    "two\nlines.jpg",
    "return\r\n.jpg",
    "tab\t.jpg",
    "  spaces  .jpg",
    "ünïcödé/日本.jpg",
    "😀.jpg",
    "👩\u200d🚒.jpg",
    "a+b%20c#d&e=f?g.jpg",
    "<&>\"'.jpg",
    "/leading/slash.jpg",
    "line\u2028separator\x85.jpg",
    "-1.jpg",
    "x" * 1024,
]


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    return Settings(
        bucket=sandbox.create_bucket("photos"),
        queue_url=sandbox.create_queue("index"),
        run=RUN,
        poll_seconds=0,
        visibility_timeout=3,
        retry_seconds=5,
    )


def open_queue(settings: Settings, stop: Stop | None = None) -> IndexQueue:
    (sqs,) = make_clients(settings, "sqs")
    return IndexQueue(sqs, Calls(settings, stop or Stop()), settings)


@pytest.fixture
def queue(settings: Settings) -> IndexQueue:
    return open_queue(settings)


def decision(index: str) -> Decision:
    return Decision(RUN, 1, index, PICTURE, (CAR,))


def send(queue: IndexQueue, *indexes: str) -> None:
    for first in range(0, len(indexes), 10):
        queue.send([image_entry(decision(index)) for index in indexes[first : first + 10]])


def receive(queue: IndexQueue, count: int, seconds: float = 10) -> list[Received]:
    """Receives until so many messages are there."""
    until, found = time.monotonic() + seconds, []
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} came"
        found += queue.receive(min(10, count - len(found)))
    return found


@pytest.mark.parametrize("index", ODD)
def test_a_key_comes_as_it_was_sent(queue: IndexQueue, index: str) -> None:
    assert unsendable(index) is None
    send(queue, index)
    (got,) = receive(queue, 1)
    assert (got.index, got.run, got.picture, got.labels) == (index, RUN, PICTURE, (CAR,))
    assert (got.problem, got.receives) == (None, 1)


def test_odd_keys_come_from_the_listing_as_they_are(sandbox: Sandbox, settings: Settings) -> None:
    for key in ODD:
        sandbox.client("s3").put_object(Bucket="photos", Key=key, Body=b"x")
    images = [image for page in open_bucket(settings).pages() for image in page]
    assert sorted(image.index for image in images) == sorted(ODD)


def test_an_end_comes_as_it_was_sent(queue: IndexQueue) -> None:
    end = RunEnd(RUN, 12345)
    queue.send([end_entry(end)])
    (got,) = receive(queue, 1)
    assert (got.end, got.foreign_end, got.index) == (end, False, "")


def test_an_end_of_the_version_before_is_the_runs_if_that_had_one_shard(queue: IndexQueue) -> None:
    """It may be on the queue while the worker is replaced."""
    for shards in (1, 2):
        numbers = {"shard": 0, "shards": shards, "expected": 7}
        attributes = {name: attribute(number) for name, number in numbers.items()}
        attributes["run"] = attribute(RUN)
        queue.send([{"MessageBody": "-1", "MessageAttributes": attributes}])
    ended, refused = sorted(receive(queue, 2), key=lambda got: got.problem or "")
    assert (ended.end, ended.problem) == (RunEnd(RUN, 7), None)
    assert refused.end is None
    assert "one of 2 shards" in str(refused.problem)


def test_a_bare_message_is_somebody_elses(queue: IndexQueue, sandbox: Sandbox) -> None:
    for body in ("-1", "2.jpg"):
        sandbox.client("sqs").send_message(QueueUrl=queue._url, MessageBody=body)
    foreign, image = sorted(receive(queue, 2), key=lambda got: got.index)
    assert (foreign.foreign_end, foreign.run) == (True, RUN)
    assert (image.index, image.run, image.labels) == ("2.jpg", RUN, ())


def keys_of(sandbox: Sandbox) -> dict[str, tuple[str, dict[str, str]]]:
    """A role and a user, by name: the unique id, and how a process is logged in as such."""
    iam, sts = sandbox.client("iam"), sandbox.client("sts")
    role = iam.create_role(RoleName="label", AssumeRolePolicyDocument="{}")["Role"]
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="i-0123")["Credentials"]
    user = iam.create_user(UserName="somebody")["User"]
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    return {
        "role": (role["RoleId"], {**_login(session), "AWS_SESSION_TOKEN": session["SessionToken"]}),
        "user": (user["UserId"], _login(key)),
    }


def _login(key: dict[str, str]) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


# ministack says of every message that the account's root has sent it
@pytest.mark.parametrize("sandbox", ["moto"], indirect=True)
@pytest.mark.parametrize("label_worker", ["role", "user"])
def test_in_the_label_workers_name_nobody_else_sends(
    sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch, label_worker: str
) -> None:
    principals = keys_of(sandbox)
    believed, _ = principals[label_worker]
    text = open_queue(settings.model_copy(update={"label_sender": believed}))
    for name, (unique_id, login) in {"administrator": ("", {}), **principals}.items():
        with monkeypatch.context() as patch:
            for variable, value in login.items():
                patch.setenv(variable, value)
            queue = open_queue(settings)
        queue.send([end_entry(RunEnd(RUN, 0)), image_entry(decision("1.jpg"))])
        queue.send([{"MessageBody": "-1"}, {"MessageBody": "2.jpg"}])
        got = receive(text, 4)
        text.delete([each.receipt for each in got])
        problems = [each.problem for each in got if each.problem]
        assert len(problems) == (0 if name == label_worker else 3), name
        assert all(f"sent by {unique_id}" in problem for problem in problems)
        assert "2.jpg" in {each.index for each in got if each.by_hand}


def test_batches_of_ten_and_never_more(queue: IndexQueue) -> None:
    send(queue, *(f"{number}.jpg" for number in range(25)))
    assert queue.calls_made == 3
    got = receive(queue, 25)
    assert sorted(one.index for one in got) == sorted(f"{number}.jpg" for number in range(25))
    assert queue.receive(10) == []
    for first in range(0, 25, 10):
        queue.delete([one.receipt for one in got[first : first + 10]])
    assert queue.is_empty()


@pytest.fixture
def make_sender(settings: Settings) -> Callable[..., IndexSender]:
    def make(acknowledged: Callable[[list[Decision]], None], **fields: Any) -> IndexSender:
        changed = settings.model_copy(update=fields)
        stop = Stop()
        return IndexSender(open_queue(changed, stop), acknowledged, changed.linger_seconds, stop)

    return make


def test_the_sender_sends_everything_once_from_many_threads(
    queue: IndexQueue, make_sender: Callable[..., IndexSender]
) -> None:
    acknowledged: list[Decision] = []
    sender = make_sender(acknowledged.extend)
    indexes = [f"{number}.jpg" for number in range(80)]
    threads = [
        threading.Thread(target=lambda part=part: [sender.send(decision(i)) for i in part])
        for part in (indexes[n::8] for n in range(8))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.flush()
    assert sorted(one.index for one in acknowledged) == sorted(indexes)
    assert sorted(got.index for got in receive(queue, 80)) == sorted(indexes)


def test_an_index_waits_for_the_linger_and_not_longer(
    queue: IndexQueue, make_sender: Callable[..., IndexSender]
) -> None:
    there = threading.Event()
    sender = make_sender(lambda _: there.set(), linger_seconds=0.3)
    began = time.monotonic()
    sender.send(decision("1.jpg"))
    assert there.wait(5)
    assert 0.3 <= time.monotonic() - began < 2


def test_failing_sends_are_made_again(
    queue: IndexQueue, sandbox: Sandbox, make_sender: Callable[..., IndexSender]
) -> None:
    sandbox.faults.append(Fault("SQS.SendMessageBatch", "InternalError", 500, times=2))
    sandbox.faults.append(Fault("SQS.SendMessageBatch", "RequestThrottled", 403, times=1))
    acknowledged: list[Decision] = []
    make_sender(acknowledged.extend).send_all([decision("1.jpg")])
    assert len(acknowledged) == 1
    assert len(receive(queue, 1)) == 1


def test_what_is_kept_hidden_does_not_come_and_what_is_not_does(settings: Settings) -> None:
    queue = open_queue(settings.model_copy(update={"visibility_timeout": 2}))
    send(queue, "kept.jpg", "left.jpg")
    receipts = {got.index: got.receipt for got in receive(queue, 2)}
    queue.hide([receipts["kept.jpg"]], 30)
    assert [got.index for got in receive(queue, 1)] == ["left.jpg"]
    assert queue.receive(10) == []


def test_a_message_given_back_comes_at_once_and_knows_how_often(queue: IndexQueue) -> None:
    send(queue, "1.jpg")
    (got,) = receive(queue, 1)
    assert queue.receive(10) == []
    queue.hide([got.receipt], 0)
    (again,) = receive(queue, 1, seconds=2)
    assert (again.index, again.receives) == ("1.jpg", 2)


def test_a_receipt_that_is_none_is_harmless(queue: IndexQueue) -> None:
    send(queue, "1.jpg")
    (got,) = receive(queue, 1)
    queue.delete(["no receipt at all", got.receipt])
    assert queue.is_empty()


def test_the_queue_is_empty_only_when_nobody_holds_a_message(queue: IndexQueue) -> None:
    assert queue.is_empty()
    send(queue, "1.jpg")
    assert not queue.is_empty()
    (got,) = receive(queue, 1)
    assert not queue.is_empty()
    queue.delete([got.receipt])
    assert queue.is_empty()


def test_a_message_that_comes_too_often_goes_to_the_dead_letter_queue(
    queue: IndexQueue, sandbox: Sandbox
) -> None:
    assert queue.max_receives() == MAX_RECEIVES
    send(queue, "1.jpg")
    for number in range(MAX_RECEIVES):
        (got,) = receive(queue, 1)
        assert got.receives == number + 1
        queue.hide([got.receipt], 0)
    assert queue.receive(10) == []
    sqs = sandbox.client("sqs")
    url = sqs.get_queue_url(QueueName="index-dead")["QueueUrl"]
    (dead,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert dead["Body"] == "1.jpg"


def test_a_queue_without_a_dead_letter_queue_has_no_limit(
    sandbox: Sandbox, settings: Settings
) -> None:
    url = sandbox.client("sqs").create_queue(QueueName="plain")["QueueUrl"]
    plain = settings.model_copy(update={"queue_url": url})
    assert open_queue(plain).max_receives() is None


def test_a_long_poll_ends_with_the_message(settings: Settings) -> None:
    patient = settings.model_copy(update={"poll_seconds": 10})
    queue = open_queue(patient)
    threading.Timer(0.5, send, [queue, "1.jpg"]).start()
    began = time.monotonic()
    (got,) = queue.receive(10)
    assert got.index == "1.jpg"
    assert 0.4 < time.monotonic() - began < 3


def test_no_such_queue_is_told(settings: Settings) -> None:
    wrong = settings.model_copy(update={"queue_url": settings.queue_url + "-none"})
    queue = open_queue(wrong)
    calls: list[Callable[[], object]] = [
        queue.max_receives,
        lambda: queue.receive(1),
        lambda: send(queue, "1.jpg"),
    ]
    for call in calls:
        with pytest.raises(RunError, match=r"there is no queue .*-none; check CARTEXT_QUEUE_URL"):
            call()


def test_a_queue_that_is_deleted_in_mid_run_is_told(
    queue: IndexQueue, sandbox: Sandbox, settings: Settings
) -> None:
    send(queue, "1.jpg")
    (got,) = receive(queue, 1)
    sandbox.client("sqs").delete_queue(QueueUrl=settings.queue_url)
    for call in (queue.delete, lambda receipts: queue.hide(receipts, 3)):
        with pytest.raises(RunError, match="there is no queue"):
            call([got.receipt])


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("AccessDenied", 403, "SQS ReceiveMessage: permission denied"),
        ("ExpiredToken", 403, "the AWS credentials have expired"),
        ("InvalidClientTokenId", 403, "no valid AWS credentials"),
    ],
)
def test_what_stops_the_run_is_told(
    queue: IndexQueue, sandbox: Sandbox, code: str, status: int, told: str
) -> None:
    sandbox.faults.append(Fault("SQS", code, status))
    with pytest.raises(RunError, match=told):
        queue.receive(1)
