"""Every misconfiguration is named with its remedy, and nothing is paid for to find it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import structlog
from moto.s3.models import s3_backends

from console import open_files
from console.command import main
from console.doctor import examine
from sandbox.aws.rekognition import service
from sandbox.aws.rekognition.traffic import counts, reset_counts
from sandbox.aws.server import Fault, Sandbox
from tests.ledger_table import ledger_table
from tests.unit.fakes import png

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "doctor.schema.json").read_text())
STS = SNS = "S3.POST /$"
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"


@dataclass
class Found:
    """What the doctor said: its exit status, and by point the verdict, text and remedy."""

    status: int
    points: dict[str, dict[str, Any]]

    @property
    def wrong(self) -> list[str]:
        return [name for name, point in self.points.items() if point["verdict"] == "wrong"]


@dataclass
class Patient:
    """A sandbox in which a run would succeed, until a test takes something away."""

    sandbox: Sandbox
    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    sqs: Any
    settings: dict[str, object] = field(default_factory=dict)
    queue_setting: str = "queue_url"

    def set(self, **settings: object) -> None:
        self.settings |= settings

    def environment(self, **variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                self.monkeypatch.delenv(name, raising=False)
            else:
                self.monkeypatch.setenv(name, value)

    def fault(self, operation: str, code: str, status: int = 403, message: str = "") -> None:
        self.sandbox.faults.append(Fault(operation, code, status, message=message))

    def client(self, service: str) -> Any:
        return self.sandbox.client(service)

    def share_parts(self) -> None:
        """Makes it a fleet's label worker; what is done to the queue is done to that of parts."""
        ledger = ledger_table(self.sandbox)
        self.queue_setting = "parts_queue_url"
        self.set(role="label", ledger=ledger)
        self.set_queue(self.sandbox.create_queue("parts"))

    def topic(self) -> str:
        """A topic that the queue listens to."""
        sns = self.client("sns")
        arn = sns.create_topic(Name="news")["TopicArn"]
        index = "arn:aws:sqs:us-east-1:123456789012:index"
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=index)
        return str(arn)

    @property
    def queue(self) -> str:
        return str(self.settings[self.queue_setting])

    def set_queue(self, url: str) -> None:
        self.set(**{self.queue_setting: url})

    def redrive(self, **policy: object) -> None:
        arn = "arn:aws:sqs:us-east-1:123456789012:index-dead"
        text = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 50, **policy})
        self.attributes(RedrivePolicy=text)

    def attributes(self, **attributes: str) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes=attributes)

    def waiting(self) -> int:
        """Messages in all queues, whatever a test has made of them."""
        self.sandbox.faults.clear()
        name = "ApproximateNumberOfMessages"
        told = [
            self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
            for url in self.sqs.list_queues()["QueueUrls"]
        ]
        return sum(int(each["Attributes"][name]) for each in told)

    def doctor(self, *flags: str) -> Found:
        given = [
            part
            for name, value in self.settings.items()
            for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        status = main(["doctor", *given, *flags, "--json"])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err
        told = json.loads(said.out)
        jsonschema.validate(told, SCHEMA)
        points = {point["point"]: point for point in told["points"]}
        assert told["right"] is (status == 0)
        return Found(status, points)


@pytest.fixture
def patient(
    moto: Sandbox,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Patient]:
    for name in os.environ:
        if name.startswith(("AWS_", "CARTEXT_")):
            monkeypatch.delenv(name)
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # what fails for ever need not be tried for long
    monkeypatch.setattr(examine, "RETRY_SECONDS", 0.2)
    moto.create_bucket("photos", [("a/1.png", png())])
    queue = moto.create_queue("index")
    patient = Patient(moto, tmp_path, capsys, monkeypatch, moto.client("sqs"))
    patient.set(
        bucket="photos",
        queue_url=queue,
        state_dir=tmp_path / "state",
        budget_dollars=1,
    )
    reset_counts()
    yield patient
    structlog.reset_defaults()


def test_where_nothing_is_wrong_it_says_so(patient: Patient) -> None:
    found = patient.doctor()
    assert found.status == 0
    verdicts = {name: point["verdict"] for name, point in found.points.items()}
    # moto has no Service Quotas
    assert verdicts.pop("quota") == "not known"
    assert verdicts.pop("answers") == "not provable"
    assert set(verdicts.values()) == {"right"}
    assert list(verdicts)[:3] == ["login", "region", "clock"]


# --- the misconfigurations: how to make one, the point that is wrong, its words, its remedy ------


def _region_without_rekognition(patient: Patient) -> None:
    endpoint = patient.sandbox.endpoint
    own = {f"AWS_ENDPOINT_URL_{name}": endpoint for name in ("S3", "SQS", "STS", "DYNAMODB")}
    patient.environment(AWS_ENDPOINT_URL=None, **own, AWS_REGION="eu-north-1")
    patient.environment(AWS_ENDPOINT_URL_SERVICE_QUOTAS=endpoint)


def _archived(patient: Patient) -> None:
    patient.client("s3").put_object(
        Bucket="photos", Key="a/1.png", Body=png(), StorageClass="GLACIER"
    )


def _table(keys: str) -> Callable[[Patient], None]:
    def make(patient: Patient) -> None:
        pk, sk = keys.split()
        patient.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": pk, "KeyType": "HASH"},
                {"AttributeName": sk, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in (pk, sk)
            ],
        )
        patient.set(ledger="dynamodb://ledger")

    return make


def _table_denied(operation: str) -> Callable[[Patient], None]:
    def deny(patient: Patient) -> None:
        _table("pk sk")(patient)
        patient.fault(f"DynamoDB_20120810.{operation}", "AccessDeniedException", 400)

    return deny


def _few_open_files(patient: Patient) -> None:
    patient.monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (100, 100))


def _no_ledger(patient: Patient) -> None:
    (patient.folder / "state").mkdir()
    (patient.folder / "state" / "ledger.sqlite3").write_text("this is no ledger " * 99)


def _file_for_a_folder(patient: Patient) -> None:
    (patient.folder / "file").write_text("")
    patient.set(state_dir=patient.folder / "file" / "state")


def _fifo(patient: Patient) -> None:
    made = patient.sqs.create_queue(QueueName="index.fifo", Attributes={"FifoQueue": "true"})
    patient.set_queue(made["QueueUrl"])


def _no_dead_letters(patient: Patient) -> None:
    patient.set_queue(patient.sqs.create_queue(QueueName="bare")["QueueUrl"])


def _dead_letters_gone(patient: Patient) -> None:
    patient.sqs.delete_queue(QueueUrl=patient.queue + "-dead")


def _wrong(
    name: str, spoil: Callable[[Patient], object], point: str, text: str, remedy: str
) -> object:
    return pytest.param(spoil, point, text, remedy, id=name)


def _of_parts(spoil: Callable[[Patient], object]) -> Callable[[Patient], None]:
    def make(patient: Patient) -> None:
        patient.share_parts()
        spoil(patient)

    return make


VOC = (
    "User is not authorized ... with an explicit deny in an identity-based policy: voc-cancel-cred"
)
DENIED = "AccessDeniedException"

OPERATIONS = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")

# of the index queue, and of the parts queue
OF_A_QUEUE: list[tuple[str, Callable[[Patient], object], str, str]] = [
    (
        "no such queue",
        lambda p: p.set_queue(p.queue + "-nowhere"),
        "-nowhere",
        "correct {setting}",
    ),
    (
        "a queue of another region",
        lambda p: p.set_queue("https://sqs.eu-west-1.amazonaws.com/123456789012/index"),
        "is not in us-east-1",
        "correct {setting}, or AWS_REGION",
    ),
    ("a FIFO queue", _fifo, "is a FIFO queue", "standard queue"),
    (
        "a queue that may not be looked at",
        lambda p: p.fault("SQS.GetQueueAttributes", DENIED),
        "SQS GetQueueAttributes: permission denied",
        "allow the call",
    ),
    ("no dead-letter queue", _no_dead_letters, "has no dead-letter queue", "redrive policy"),
    (
        "a dead-letter queue that is gone",
        _dead_letters_gone,
        "-dead is not there",
        "make it anew",
    ),
    (
        "messages that are soon lost",
        lambda p: p.attributes(MessageRetentionPeriod="3600"),
        "lost after 1 h",
        "14 days",
    ),
]

MISCONFIGURATIONS = [
    _wrong(
        "no region",
        lambda p: p.environment(AWS_REGION=None, AWS_DEFAULT_REGION=None),
        "region",
        "no AWS region is set",
        "set AWS_REGION",
    ),
    _wrong(
        "a region that is none",
        lambda p: p.environment(AWS_REGION="mars 1"),
        "region",
        "mars 1",
        "set AWS_REGION",
    ),
    _wrong(
        "a region without Rekognition",
        _region_without_rekognition,
        "region",
        "no Rekognition in eu-north-1",
        "eu-west-1",
    ),
    _wrong(
        "nobody is logged in",
        lambda p: p.environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None),
        "login",
        "no valid AWS credentials",
        "log in",
    ),
    _wrong(
        "half a login",
        lambda p: p.environment(AWS_SECRET_ACCESS_KEY=None),
        "login",
        "Partial credentials",
        "log in",
    ),
    _wrong(
        "a profile that is not there",
        lambda p: p.environment(AWS_PROFILE="holiday"),
        "login",
        "holiday",
        "log in",
    ),
    _wrong(
        "an endpoint that is none",
        lambda p: p.environment(AWS_ENDPOINT_URL="nonsense"),
        "login",
        "nonsense",
        "correct",
    ),
    _wrong(
        "an expired login",
        lambda p: p.fault(STS, "ExpiredToken"),
        "login",
        "have expired",
        "log in again",
    ),
    _wrong(
        "a key that is none",
        lambda p: p.fault(STS, "InvalidClientTokenId"),
        "login",
        "no valid AWS credentials",
        "log in",
    ),
    _wrong(
        "a lab that has ended",
        lambda p: p.fault(".", "AccessDenied", message=VOC),
        "login",
        "the lab's session has ended",
        "Start Lab",
    ),
    _wrong(
        "a clock that is refused",
        lambda p: p.fault("S3.GET", "RequestTimeTooSkewed"),
        "bucket",
        "this machine's clock is wrong",
        "time synchronisation",
    ),
    _wrong(
        "no such bucket",
        lambda p: p.set(bucket="nobodys"),
        "bucket",
        "no bucket 'nobodys'",
        "correct the setting",
    ),
    _wrong(
        "a bucket of another region",
        lambda p: p.set(bucket=p.sandbox.create_bucket("far-away", region="eu-west-1")),
        "bucket",
        "is in eu-west-1, but Rekognition is asked in us-east-1",
        "AWS_REGION=eu-west-1",
    ),
    _wrong(
        "a bucket that is elsewhere, nobody says where",
        lambda p: p.fault("S3.GET /photos", "PermanentRedirect", 301),
        "bucket",
        "is in another region",
        "set AWS_REGION to the bucket's region",
    ),
    _wrong(
        "a bucket of another owner",
        lambda p: p.set(expected_bucket_owner="999999999999"),
        "bucket",
        "does not belong to the account 999999999999",
        "CARTEXT_EXPECTED_BUCKET_OWNER",
    ),
    _wrong(
        "a bucket that may not be listed",
        lambda p: p.fault("S3.GET /photos$", "AccessDenied"),
        "bucket",
        "S3 ListObjectsV2: permission denied",
        "allow the call",
    ),
    _wrong(
        "a prefix without an image",
        lambda p: p.set(prefix="b/"),
        "image",
        "no image under s3://photos/b/",
        "CARTEXT_PREFIX",
    ),
    _wrong(
        "an image that may not be read",
        lambda p: p.fault("S3.GET /photos/a", "AccessDenied"),
        "image",
        "AccessDenied",
        "kms_key_arn",
    ),
    _wrong(
        "a key that is disabled",
        lambda p: p.fault("S3.GET /photos/a", "KMS.DisabledException", 400),
        "image",
        "KMS.DisabledException",
        "enable the key",
    ),
    _wrong("an archived image", _archived, "image", "archived", "restore it"),
    _wrong(
        "a label in small letters",
        lambda p: p.set(label="police car"),
        "label",
        "'police car' is none of Rekognition's labels: they begin with a capital",
        "set CARTEXT_LABEL='Police Car'",
    ),
    _wrong(
        "one label of several in small letters",
        lambda p: p.set(label="Car, truck"),
        "label",
        "'truck' is none",
        "set CARTEXT_LABEL=Car,Truck",
    ),
    _wrong(
        "no permission to find labels",
        lambda p: p.fault("Rekognition.DetectLabels", DENIED),
        "label detection",
        "Rekognition DetectLabels: permission denied",
        "allow the call",
    ),
    _wrong(
        "no permission to read text",
        lambda p: p.fault("Rekognition.DetectText", DENIED),
        "text detection",
        "Rekognition DetectText: permission denied",
        "allow the call",
    ),
    _wrong(
        "an account without Rekognition",
        lambda p: p.fault("Rekognition.", "SubscriptionRequiredException", 400),
        "label detection",
        "the account may not use this service",
        "AWS Support",
    ),
    _wrong(
        "something that answers in Rekognition's place",
        lambda p: p.fault("Rekognition.DetectText", "", 403),
        "text detection",
        "no answer for 0.2 s",
        "a proxy, a portal or a firewall",
    ),
    *(
        _wrong(name, spoil, "queue", text, remedy.format(setting="CARTEXT_QUEUE_URL"))
        for name, spoil, text, remedy in OF_A_QUEUE
    ),
    _wrong(
        "messages that are soon given up",
        lambda p: p.redrive(maxReceiveCount=2),
        "queue",
        "given up after 2 receives",
        "CARTEXT_TRIES=2",
    ),
    _wrong(
        "a heartbeat that may come too late",
        lambda p: p.set(visibility_timeout=60, retry_seconds=60),
        "queue",
        "a heartbeat may come too late",
        "CARTEXT_VISIBILITY_TIMEOUT=90",
    ),
    *(
        _wrong(
            f"no permission for SQS {operation}",
            lambda p, operation=operation: p.fault(f"SQS.{operation}(Batch)?$", DENIED),
            "messages",
            f"SQS {operation}: permission denied",
            "allow the call",
        )
        for operation in OPERATIONS
    ),
    *(
        _wrong(
            f"{name}, of parts",
            _of_parts(spoil),
            "parts queue",
            text,
            remedy.format(setting="CARTEXT_PARTS_QUEUE_URL"),
        )
        # it is looked at as the other one is, with a setting of its own
        for name, spoil, text, remedy in OF_A_QUEUE
        if "{setting}" in remedy
    ),
    _wrong(
        "no permission for SQS DeleteMessage of parts",
        _of_parts(lambda p: p.fault("SQS.DeleteMessage(Batch)?$", DENIED)),
        "parts queue",
        "SQS DeleteMessage: permission denied",
        "allow the call",
    ),
    _wrong(
        "label workers that share a table, but no parts",
        _table("pk sk"),
        "parts queue",
        "share a table",
        "set CARTEXT_PARTS_QUEUE_URL",
    ),
    _wrong(
        "no such table",
        lambda p: p.set(ledger="dynamodb://nowhere"),
        "ledger",
        "there is no such table",
        "correct the setting",
    ),
    _wrong(
        "a table with other keys", _table("id sk"), "ledger", "'ledger'", "keys must be pk and sk"
    ),
    _wrong(
        "a table that may not be read",
        _table_denied("Query"),
        "ledger",
        "permission denied",
        "allow the call",
    ),
    _wrong(
        "a table that may not be written",
        _table_denied("TransactWriteItems"),
        "ledger",
        "DynamoDB TransactWriteItems on the table 'ledger'",
        "allow the call",
    ),
    _wrong("a ledger that is none", _no_ledger, "ledger", "not a database", "check the disk"),
    _wrong(
        "a file where the state folder must be",
        _file_for_a_folder,
        "disk",
        "Not a directory",
        "check the folder's owner",
    ),
    _wrong(
        "too few open files",
        _few_open_files,
        "open files",
        "100 open files are allowed, but 38 images in flight may need 226",
        "lower CARTEXT_IN_FLIGHT",
    ),
    _wrong(
        "a budget that is too small",
        lambda p: p.set(budget_dollars=0.001),
        "budget",
        "may cost $0.0020",
        "CARTEXT_BUDGET_DOLLARS",
    ),
    _wrong(
        "a topic that is not there",
        lambda p: p.set(topic_arn=TOPIC),
        "topic",
        "there is no such topic",
        "correct the setting",
    ),
    _wrong(
        "a topic of another region",
        lambda p: p.set(topic_arn=TOPIC.replace("us-east-1", "eu-west-1")),
        "topic",
        "is not in us-east-1",
        "correct CARTEXT_TOPIC_ARN",
    ),
    _wrong(
        "a topic that may not be told",
        lambda p: (p.set(topic_arn=p.topic()), p.fault(SNS, "AuthorizationError")),
        "topic",
        "SNS Publish: permission denied",
        "allow the call",
    ),
]


@pytest.mark.parametrize(("spoil", "point", "text", "remedy"), MISCONFIGURATIONS)
def test_a_misconfiguration_is_named_with_its_remedy(
    patient: Patient, spoil: Callable[[Patient], object], point: str, text: str, remedy: str
) -> None:
    spoil(patient)
    found = patient.doctor()
    assert found.status == 78
    assert point in found.wrong, found.points
    assert text in found.points[point]["text"]
    assert remedy in found.points[point]["remedy"]
    assert not any(operation["paid"] for operation in counts().values())
    assert patient.waiting() == 0, "it left a message"


def test_they_are_many() -> None:
    assert len(MISCONFIGURATIONS) >= 30


# --- what else it knows and does not --------------------------------------------------------------


def test_without_a_login_nothing_else_is_asked_but_the_machine(patient: Patient) -> None:
    patient.environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    found = patient.doctor()
    assert found.wrong == ["login"]
    assert found.points["bucket"]["text"] == "not asked"
    assert found.points["bucket"]["remedy"] == "mend the login first"
    assert found.points["disk"]["verdict"] == "right"


def test_in_a_region_without_rekognition_the_rest_is_asked_all_the_same(patient: Patient) -> None:
    _region_without_rekognition(patient)
    found = patient.doctor()
    assert found.points["label detection"]["remedy"] == "mend the region first"
    assert found.points["queue"]["text"] != "not asked"


def test_where_nothing_listens_it_ends_and_says_so(patient: Patient) -> None:
    patient.environment(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    found = patient.doctor()
    assert found.status == 78
    assert found.points["login"]["verdict"] == "not known", "STS alone may be out of reach"
    for point in ("bucket", "queue", "label detection"):
        assert "no answer for 0.2 s" in found.points[point]["text"]
        assert "check the network" in found.points[point]["remedy"]
    assert found.points["clock"]["verdict"] == "not known"


def test_what_never_answers_does_not_keep_it(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # not CLIENTS_SECONDS: making the clients takes a loaded machine its time
    monkeypatch.setattr(examine, "LOGIN_SECONDS", 1.0)
    monkeypatch.setattr(examine, "LONGEST_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patient.environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        found = patient.doctor()
    silenced = {n for n, told in found.points.items() if told["text"] == "no answer in time"}
    assert {"login", "bucket", "label detection", "text detection", "queue", "quota"} <= silenced
    assert found.points["region"]["verdict"] == "right"
    for point in ("login", "quota"):
        assert found.points[point]["verdict"] == "not known", "a run may do without"
    assert {"bucket", "label detection", "queue"} <= set(found.wrong)


@pytest.mark.parametrize(
    ("role", "missing"),
    [("label", {"text detection"}), ("text", {"label", "label detection", "budget"})],
)
def test_a_role_is_asked_for_what_is_its_own_only(
    patient: Patient, role: str, missing: set[str]
) -> None:
    found = patient.doctor("--role", role)
    assert missing.isdisjoint(found.points)
    assert ("SendMessage" in found.points["messages"]["text"]) is (role == "label")


def test_a_topic_that_may_be_told_is_told_nothing(patient: Patient) -> None:
    patient.set(topic_arn=patient.topic())
    found = patient.doctor()
    assert found.wrong == []
    assert "not refused: Publish" in found.points["topic"]["text"]
    assert patient.waiting() == 0


def test_a_parts_queue_that_fits_is_right(patient: Patient) -> None:
    patient.share_parts()
    found = patient.doctor()
    assert found.wrong == []
    parts = found.points["parts queue"]
    assert parts["verdict"] == "right"
    assert all(word in parts["text"] for word in (patient.queue, "parts-dead", *OPERATIONS))
    assert patient.waiting() == 0


def test_what_is_wrong_with_the_parts_queue_is_told_of_it_alone(patient: Patient) -> None:
    patient.share_parts()
    patient.set_queue(patient.queue + "-nowhere")
    found = patient.doctor()
    assert found.wrong == ["parts queue"]
    assert found.points["parts queue"]["text"] == f"there is no queue {patient.queue}"


def test_only_of_a_fleets_label_worker_a_parts_queue_is_asked_for(patient: Patient) -> None:
    assert "parts queue" not in patient.doctor().points
    patient.share_parts()
    patient.set(role="both")
    assert "parts queue" in patient.doctor().points
    patient.set(role="text")
    assert "parts queue" not in patient.doctor().points


def test_what_a_role_may_not_ask_is_not_known(patient: Patient) -> None:
    patient.fault("ServiceQuotas", DENIED, 400)
    patient.fault(STS, "AccessDenied")
    found = patient.doctor()
    for point in ("quota", "login"):
        assert found.points[point]["verdict"] == "not known"
        assert "permission denied" in found.points[point]["text"]
    assert found.status == 0


def test_a_service_that_is_busy_is_not_known(patient: Patient) -> None:
    patient.fault("Rekognition.DetectLabels", "ThrottlingException", 400)
    patient.fault("S3.GET /photos/a", "InternalError", 500)
    found = patient.doctor()
    for point in ("label detection", "image"):
        assert found.points[point]["verdict"] == "not known"
        assert found.points[point]["remedy"] == "ask again in a moment"
    assert found.status == 0


def test_a_label_that_only_rekognitions_list_has_is_not_known(patient: Patient) -> None:
    patient.set(label="Truck")
    found = patient.doctor()
    assert found.points["label"]["verdict"] == "not known"
    assert "whether Rekognition has the label 'Truck'" in found.points["label"]["text"]
    assert "docs.aws.amazon.com/rekognition" in found.points["label"]["remedy"]
    assert found.status == 0


def test_another_accounts_bucket_is_told(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(s3_backends.bucket_accounts, "photos", ("aws", "999999999999"))
    found = patient.doctor()
    assert found.points["bucket"]["verdict"] == "not known"
    assert "another account" in found.points["bucket"]["text"]
    assert "CARTEXT_EXPECTED_BUCKET_OWNER" in found.points["bucket"]["remedy"]


def test_a_table_that_fits_is_right_and_keeps_its_version_only(patient: Patient) -> None:
    client = patient.client("dynamodb")
    patient.set(ledger=ledger_table(patient.sandbox))
    assert patient.doctor().points["ledger"]["verdict"] == "right"
    (kept,) = client.scan(TableName="ledger")["Items"]
    assert kept["pk"] == {"S": "/ledger"}


def test_paid_spends_one_call_of_each_kind_and_says_so(patient: Patient) -> None:
    from sandbox.scenes import sample_images  # noqa: PLC0415 - it draws

    (sample,) = sample_images(1)
    patient.sandbox.create_bucket("scenes", [(sample.index, sample.data)])
    patient.set(bucket="scenes")
    # what is in the picture is no matter, and to look at it takes seconds
    nothing = {
        "DetectLabels": {"Labels": [], "LabelModelVersion": "3.0"},
        "DetectText": {"TextDetections": [], "TextModelVersion": "3.0"},
    }
    for operation, seen in nothing.items():
        patient.monkeypatch.setitem(service.OPERATIONS, operation, lambda *_, seen=seen: seen)
    found = patient.doctor("--paid")
    assert found.points["answers"]["verdict"] == "right"
    assert "2 calls were paid for ($0.0020)" in found.points["answers"]["text"]
    paid = {name: sum(told["paid"].values()) for name, told in counts().items()}
    assert paid == {"DetectLabels": 1, "DetectText": 1}


def test_a_person_reads_a_line_a_point_and_below_it_the_remedy(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["doctor", "--bucket", "nobodys", "--queue-url", patient.queue])
    said = capsys.readouterr()
    assert status == 78
    lines = said.out.splitlines()
    (number,) = [n for n, line in enumerate(lines) if line.startswith("wrong")]
    assert lines[number + 1].strip() == "-> correct the setting"
    assert said.err.splitlines()[-1].startswith("cartext doctor: mend first: bucket")
