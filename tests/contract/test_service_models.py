"""A whole run under the judge: what is asked and what is answered fits AWS's models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session

from console.services import make_services
from sandbox.aws.rekognition.s3 import Objects
from sandbox.aws.rekognition.standalone import application
from sandbox.aws.server import Sandbox
from sandbox.aws.serving import Served
from sandbox.scenes import sample_images
from tests.contract.judge import Judge, violations
from tests.contract.ministack import Ministack
from tests.ledger_table import ledger_table
from workers.alive import Alive
from workers.label_worker import LabelWorker
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.text_worker import TextWorker
from workers.threads.stop import Stop

OPERATIONS = {
    *("ListObjectsV2", "GetObject", "DetectLabels", "DetectText", "GetQueueAttributes"),
    *("SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"),
    *("GetItem", "BatchGetItem", "Query", "PutItem", "BatchExecuteStatement"),
    "TransactWriteItems",
}


@pytest.fixture
def eyes(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The Rekognition that looks also before an account that has none."""
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    if not isinstance(sandbox, Ministack):
        yield
        return
    with Served(application(Objects(sandbox.endpoint)), "127.0.0.1", 0) as seeing:
        endpoint = f"http://{seeing.host}:{seeing.port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_REKOGNITION", endpoint)
        yield


@pytest.mark.parametrize("source", ["s3", "bytes"])
def test_a_whole_run(
    sandbox: Sandbox, eyes: None, judge: Judge, tmp_path: Path, source: str
) -> None:
    images = [(sample.index, sample.data) for sample in sample_images(5)]
    shared: dict[str, Any] = {
        "bucket": sandbox.create_bucket("photos", [*images, ("none.jpg", b"no picture\n" * 20)]),
        "queue_url": sandbox.create_queue("index"),
        "parts_queue_url": sandbox.create_queue("parts"),
        "ledger": ledger_table(sandbox),
        "label_source": source,
        "poll_seconds": 1,
        "visibility_timeout": 3,
        "in_flight": 1,
        "_env_file": None,
    }
    gone = images[0][0]

    def work(worker: Any, name: str) -> None:
        settings, stop = Settings(state_dir=tmp_path / name, **shared), Stop()
        ledger = open_ledger(settings, stop)
        with closing(ledger):
            with Alive(ledger.fleet, name, stop) as alive:
                worker(settings, make_services(settings, ledger, stop, alive), stop).run()
            assert list(ledger.open_parts("default")) == []
            assert ledger.label_counts("default").parts == ledger.listed("default").parts == 1
            assert ledger.fleet.beats(name) == {}

    work(LabelWorker, "label")
    sandbox.client("s3").delete_object(Bucket="photos", Key=gone)
    work(TextWorker, "text")
    assert judge.seen >= OPERATIONS | {"NoSuchKey"}
    assert (tmp_path / "text/default/results.jsonl").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"Labels": {}}, "the answer's Labels is dict, not list"),
        ({"Labels": [{"Confidence": 101.0}]}, "Confidence is 101.0, not 0 to 100"),
        ({"Lables": []}, "the answer has Lables, which is unknown"),
        ({"OrientationCorrection": "ROTATE_1"}, "none of"),
    ],
)
def test_the_judge_finds(answer: dict[str, Any], problem: str) -> None:
    model = get_session().get_service_model("rekognition").operation_model("DetectLabels")
    assert problem in "; ".join(violations(answer, model.output_shape, "the answer"))


def test_the_judge_finds_what_a_request_lacks() -> None:
    model = get_session().get_service_model("sqs").operation_model("ReceiveMessage")
    assert [*violations({}, model.input_shape, "the request")] == ["the request has no QueueUrl"]
