"""The roles by enforcement: the workers can do their work with them, and nothing without or beside.

IAM judges every call here, with the credentials of the roles that Terraform made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.authorization import enable_iam_authentication
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox import processes
from sandbox.aws.rekognition.service import knobs
from sandbox.scenes import Sample, sample_images
from tests.infra.conftest import BUCKET, KMS_KEY, PREFIX, Stack

NO_ACCESS = "no access: AccessDenied"
# every permission of a role, and what the worker's last word says when it is missing
PERMISSIONS = {
    "label": {
        "kms:Decrypt": NO_ACCESS,
        "rekognition:DetectLabels": "Rekognition DetectLabels: permission denied",
        "s3:GetObject": NO_ACCESS,
        "s3:ListBucket": "S3 ListObjectsV2: permission denied",
        "sqs:GetQueueAttributes": "SQS GetQueueAttributes: permission denied",
        "sqs:SendMessage": "SQS SendMessageBatch: permission denied",
    },
    "text": {
        "kms:Decrypt": NO_ACCESS,
        "rekognition:DetectText": "Rekognition DetectText: permission denied",
        "s3:GetObject": NO_ACCESS,
        "s3:ListBucket": NO_ACCESS,
        "sqs:ChangeMessageVisibility": "SQS ChangeMessageVisibilityBatch: permission denied",
        "sqs:DeleteMessage": "SQS DeleteMessageBatch: permission denied",
        "sqs:GetQueueAttributes": "SQS GetQueueAttributes: permission denied",
        "sqs:ReceiveMessage": "SQS ReceiveMessage: permission denied",
    },
}
REFUSALS = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}


@dataclass
class Worker:
    """A worker of the stack, with its role and no other right."""

    stack: Stack
    role: str
    folder: Path

    @property
    def role_name(self) -> str:
        """The role that the worker's instance has by its profile."""
        arn = self.stack.instance(f"{self.role}-1")["IamInstanceProfile"]["Arn"]
        profile = self.stack.client("iam").get_instance_profile(
            InstanceProfileName=arn.rpartition("/")[2]
        )
        (role,) = profile["InstanceProfile"]["Roles"]
        return str(role["RoleName"])

    def credentials(self) -> dict[str, str]:
        """What the instance metadata would hand out."""
        arn = self.stack.client("iam").get_role(RoleName=self.role_name)["Role"]["Arn"]
        keys = self.stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        return {
            "aws_access_key_id": keys["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": keys["Credentials"]["SecretAccessKey"],
            "aws_session_token": keys["Credentials"]["SessionToken"],
        }

    def start(self, run: str, **settings: object) -> processes.Worker:
        """Starts the worker as its instance does."""
        outputs = self.stack.outputs
        values = {
            "bucket": outputs["bucket"],
            "prefix": outputs["prefix"],
            "queue_url": outputs["queue_url"],
            "visibility_timeout": outputs["visibility_timeout_seconds"],
            "run": run,
            "state_dir": self.folder / self.role,
            "poll_seconds": 1,
            "retry_seconds": 5,
            **settings,
        }
        keys = {name.upper(): value for name, value in self.credentials().items()}
        environment = self.stack.sandbox.environment(**keys, **processes.settings(**values))
        return processes.Worker(self.role, environment, self.folder / f"{self.role}.log")

    @contextmanager
    def without(self, permission: str) -> Iterator[None]:
        """Takes one permission out of the role's policy."""
        iam, role = self.stack.client("iam"), self.role_name
        policy = iam.get_role_policy(RoleName=role, PolicyName="worker")["PolicyDocument"]
        whole = json.dumps(policy)
        statements = []
        for statement in policy["Statement"]:
            actions = statement["Action"]
            kept = {actions} if isinstance(actions, str) else set(actions)
            kept.discard(permission)
            if kept:
                statements.append({**statement, "Action": sorted(kept)})
        smaller = json.dumps({**policy, "Statement": statements})
        assert permission in whole
        assert permission not in smaller
        iam.put_role_policy(RoleName=role, PolicyName="worker", PolicyDocument=smaller)
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName="worker", PolicyDocument=whole)


@pytest.fixture
def worker(stack: Stack, tmp_path: Path) -> Callable[[str], Worker]:
    """Makes a worker of a role."""
    return lambda role: Worker(stack, role, tmp_path)


@pytest.fixture(scope="module", autouse=True)
def samples(stack: Stack) -> list[Sample]:
    """Drawn scenes, encrypted in the bucket below the prefix; the first is a car with a plate."""
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KMS_KEY}
    samples = list(sample_images(5))
    for sample in samples:
        stack.client("s3").put_object(
            Bucket=BUCKET, Key=f"{PREFIX}{sample.index}", Body=sample.data, **encryption
        )
    return samples


@pytest.fixture(autouse=True)
def empty_queue(stack: Stack) -> None:
    """Takes away what the test before left, hidden or not, without PurgeQueue's minute between."""
    (queue,) = (
        queue
        for regions in sqs_backends.values()
        for queue in regions["us-east-1"].queues.values()
        if queue.name == "cartext-index"
    )
    queue._messages.clear()


def fill_queue(stack: Stack, run: str, *indexes: str) -> None:
    """Sends what a label worker sends for a run of these cars."""

    def attributes(**values: object) -> dict[str, Any]:
        return {
            name: {"DataType": "String", "StringValue": str(value)}
            for name, value in values.items()
        }

    send, url = stack.client("sqs").send_message, stack.outputs["queue_url"]
    for index in indexes:
        found = attributes(run=run, shard=0, found="{}")
        send(QueueUrl=url, MessageBody=index, MessageAttributes=found)
    end = attributes(run=run, shard=0, shards=1, expected=len(indexes))
    send(QueueUrl=url, MessageBody="-1", MessageAttributes=end)


def test_the_pair_completes_a_run(
    stack: Stack, worker: Callable[[str], Worker], samples: list[Sample]
) -> None:
    # somebody else's end of nothing
    fill_queue(stack, "whole")
    sender = stack.outputs["label_sender"]
    pair = [worker(role).start("whole", label_sender=sender) for role in ("label", "text")]
    with enable_iam_authentication():
        assert [each.process.wait(120) for each in pair] == [0, 0], [each.lines for each in pair]
    assert "message refused" in {event["event"] for event in pair[1].events}
    output = (worker("text").folder / "text/whole/output.txt").read_text()
    cars = [s for s in samples if s.truth.car and s.truth.text]
    for sample in cars:
        line = next(line for line in output.splitlines() if f"{PREFIX}{sample.index}" in line)
        assert all(text in line for text in sample.truth.text)
    assert len(output.splitlines()) == len(cars)


@pytest.mark.parametrize("permission", PERMISSIONS["label"])
def test_the_label_worker_needs_each_permission(
    worker: Callable[[str], Worker], permission: str
) -> None:
    label = worker("label")
    with label.without(permission):
        started = label.start("without")
        with enable_iam_authentication():
            assert_refused(started, PERMISSIONS["label"][permission])


@pytest.mark.parametrize("permission", PERMISSIONS["text"])
def test_the_text_worker_needs_each_permission(
    stack: Stack, worker: Callable[[str], Worker], permission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what each permission is there for, beside the plain work: a message is renewed when its image
    # takes long; an image that is gone is told from one that may not be read
    slow = permission == "sqs:ChangeMessageVisibility"
    gone = permission == "s3:ListBucket"
    monkeypatch.setattr(knobs, "latency_seconds", 3.0 if slow else 0.0)
    fill_queue(stack, "without", f"{PREFIX}{'gone' if gone else '1'}.jpg")
    text = worker("text")
    with text.without(permission):
        started = text.start("without", **({"visibility_timeout": 3} if slow else {}))
        with enable_iam_authentication():
            assert_refused(started, PERMISSIONS["text"][permission])


def test_an_image_that_is_gone_is_no_matter_of_permission(
    stack: Stack, worker: Callable[[str], Worker]
) -> None:
    fill_queue(stack, "gone", f"{PREFIX}gone.jpg", f"{PREFIX}1.jpg")
    started = worker("text").start("gone")
    with enable_iam_authentication():
        assert started.process.wait(120) == 0, started.lines
    assert (
        "gone: the object is no longer in the bucket"
        in (worker("text").folder / "text/gone/results.jsonl").read_text()
    )


def told(stack: Stack, started: processes.Worker) -> tuple[list[str], dict[str, Any]]:
    """Subjects that the topic has been told, and what the worker says of that."""
    topic = sns_backends["123456789012"]["us-east-1"].topics[stack.outputs["topic_arn"]]
    subjects = [subject for _, _, subject, _, _ in topic.sent_notifications]
    said = [event for event in started.events if event["event"] in {"told", "not told"}]
    assert len(said) == 1, started.lines
    topic.sent_notifications.clear()
    return subjects, said[0]


@pytest.mark.parametrize("role", ["label", "text"])
def test_a_worker_needs_the_permission_to_tell_but_not_to_end_well(
    stack: Stack, worker: Callable[[str], Worker], role: str
) -> None:
    fill_queue(stack, "untold")
    each, topic = worker(role), stack.outputs["topic_arn"]
    # nothing is to be looked at, and that is no matter here
    settings = {"topic_arn": topic, "prefix": f"{PREFIX}none/"}
    with each.without("sns:Publish"):
        started = each.start("untold", **settings)
        with enable_iam_authentication():
            assert started.process.wait(120) == 0, started.lines
    subjects, said = told(stack, started)
    assert (subjects, said["event"]) == ([], "not told")
    assert "SNS Publish: permission denied" in said["reason"]

    fill_queue(stack, "told")
    started = each.start("told", **settings)
    with enable_iam_authentication():
        assert started.process.wait(120) == 0, started.lines
    subjects, said = told(stack, started)
    headline = {"label": "every image is looked at", "text": "finished"}[role]
    assert (subjects, said["event"]) == ([f"cartext: {headline}, run told"], "told")


def assert_refused(started: processes.Worker, said: str) -> None:
    """The worker ends by itself, for good, and its last line says what is not permitted."""
    assert started.process.wait(120) == 78, started.lines
    last = started.events[-1]
    assert last["event"] == "stopped"
    assert said in last["reason"], last


@pytest.fixture(scope="module")
def others(stack: Stack) -> Iterator[dict[str, str]]:
    """A bucket, an object of ours outside of the prefix, a queue and a topic: none of theirs."""
    s3, sqs = stack.client("s3"), stack.client("sqs")
    s3.create_bucket(Bucket="others")
    s3.put_object(Bucket="others", Key=f"{PREFIX}1.jpg", Body=b"private")
    s3.put_object(Bucket=BUCKET, Key="outside.jpg", Body=b"private")
    url = sqs.create_queue(QueueName="others")["QueueUrl"]
    topic = stack.client("sns").create_topic(Name="others")["TopicArn"]
    yield {"queue": url, "topic": topic}
    sqs.delete_queue(QueueUrl=url)
    stack.client("sns").delete_topic(TopicArn=topic)


def calls_beside(stack: Stack, others: dict[str, str]) -> dict[str, list[tuple[str, str, Any]]]:
    """Calls that a role must not make, as service, method and arguments; by role."""
    index, dead = stack.outputs["queue_url"], stack.outputs["dead_letter_queue_url"]
    image = {"S3Object": {"Bucket": BUCKET, "Name": f"{PREFIX}1.jpg"}}
    ours = {"TopicArn": stack.outputs["topic_arn"]}
    both = [
        ("kms", "decrypt", {"CiphertextBlob": b"x", "KeyId": KMS_KEY}),
        ("s3", "list_buckets", {}),
        ("s3", "head_bucket", {"Bucket": BUCKET}),
        ("s3", "list_objects_v2", {"Bucket": BUCKET}),
        ("s3", "list_objects_v2", {"Bucket": "others", "Prefix": PREFIX}),
        ("s3", "list_objects_v2", {"Bucket": BUCKET, "Prefix": ""}),
        ("s3", "list_objects_v2", {"Bucket": BUCKET, "Prefix": "out"}),
        ("s3", "get_object", {"Bucket": "others", "Key": f"{PREFIX}1.jpg"}),
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "outside.jpg"}),
        ("s3", "head_object", {"Bucket": BUCKET, "Key": "outside.jpg"}),
        ("s3", "put_object", {"Bucket": BUCKET, "Key": f"{PREFIX}new.jpg", "Body": b""}),
        ("s3", "delete_object", {"Bucket": BUCKET, "Key": f"{PREFIX}1.jpg"}),
        ("sqs", "list_queues", {}),
        ("sqs", "purge_queue", {"QueueUrl": index}),
        ("sqs", "set_queue_attributes", {"QueueUrl": index, "Attributes": {}}),
        ("sqs", "receive_message", {"QueueUrl": dead}),
        ("sqs", "receive_message", {"QueueUrl": others["queue"]}),
        ("sqs", "send_message", {"QueueUrl": dead, "MessageBody": "x"}),
        ("sqs", "send_message", {"QueueUrl": others["queue"], "MessageBody": "x"}),
        ("sns", "list_topics", {}),
        ("sns", "publish", {"TopicArn": others["topic"], "Message": "x"}),
        ("sns", "get_topic_attributes", ours),
        ("sns", "subscribe", {**ours, "Protocol": "email", "Endpoint": "you@example.org"}),
        ("rekognition", "detect_faces", {"Image": image}),
        ("ec2", "describe_instances", {}),
        ("iam", "list_roles", {}),
    ]
    receipt = {"QueueUrl": index, "ReceiptHandle": "x"}
    return {
        "label": [
            *both,
            ("sqs", "receive_message", {"QueueUrl": index}),
            ("sqs", "delete_message", receipt),
            ("sqs", "change_message_visibility", {**receipt, "VisibilityTimeout": 0}),
            ("rekognition", "detect_text", {"Image": image}),
        ],
        "text": [
            *both,
            ("sqs", "send_message", {"QueueUrl": index, "MessageBody": "x"}),
            ("rekognition", "detect_labels", {"Image": image}),
        ],
    }


@pytest.mark.parametrize("role", ["label", "text"])
def test_everything_beside_the_work_is_refused(
    stack: Stack, worker: Callable[[str], Worker], others: dict[str, str], role: str
) -> None:
    session = boto3.session.Session(**worker(role).credentials(), region_name="us-east-1")
    allowed = []
    with enable_iam_authentication():
        for service, method, arguments in calls_beside(stack, others)[role]:
            client = session.client(service, endpoint_url=stack.sandbox.endpoint)
            try:
                getattr(client, method)(**arguments)
            except ClientError as error:
                if error.response["Error"]["Code"] in REFUSALS:
                    continue
                raise
            allowed.append((service, method, arguments))
    assert allowed == []
