"""docs/tour.md shows what really goes through: each of its blocks is seen in a run."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.report.rows import as_shown
from sandbox.aws.rekognition import eyes
from sandbox.aws.server import Sandbox
from sandbox.processes import Worker, settings
from sandbox.scenes import sample_images
from tests.house.doors import doors_in

PAGE = (Path(__file__).parents[2] / "docs" / "tour.md").read_text(encoding="utf-8")
INDEX = "10.jpg"
# these are others in each run
OTHERWISE = {"time", "ms", "t"}
# and with another processor what was measured in the picture may differ by so much
ALIKE = 0.02
STATIONS = 10


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What a run has of the image at all stations, and the end."""
    folder = tmp_path_factory.mktemp("tour")
    with Sandbox() as sandbox:
        images = ((sample.index, sample.data) for sample in sample_images())
        bucket, queue = sandbox.create_bucket("images", images), sandbox.create_queue("index")
        eyes.warm_up()
        s3, sqs, rekognition = map(sandbox.client, ("s3", "sqs", "rekognition"))
        data = s3.get_object(Bucket=bucket, Key=INDEX)["Body"].read()
        answers = [
            *s3.list_objects_v2(Bucket=bucket)["Contents"],
            *rekognition.detect_labels(Image={"Bytes": data}, MinConfidence=55)["Labels"],
            *rekognition.detect_text(Image={"Bytes": data})["TextDetections"],
        ]
        own = settings(bucket=bucket, queue_url=queue, run="demo")

        def log_of(role: str) -> list[Any]:
            more = settings(state_dir=folder / role, worker=role)
            worker = Worker(role, sandbox.environment(**own, **more), folder / f"{role}.log")
            assert worker.process.wait() == 0, worker.lines
            return worker.events

        said = log_of("label")
        answers += sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageAttributeNames=["All"],
        )["Messages"]
        said += log_of("text")
    output = folder / "text" / "demo"
    rows = [*map(json.loads, (output / "results.jsonl").read_text().splitlines())]
    lines = (output / "output.txt").read_text().splitlines()
    shown = [as_shown(row) for row in rows]
    return [*answers, *said, _row(folder / "label"), *rows, *lines, *shown]


def _row(state: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as ledger:
        ledger.row_factory = sqlite3.Row
        return dict(ledger.execute("SELECT * FROM decision WHERE idx = ?", [INDEX]).fetchone())


def opened(value: Any) -> Any:
    """The value with the JSON that stands in its texts."""
    if isinstance(value, dict):
        return {name: opened(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(opened, value)]
    if isinstance(value, str) and value[:1] in {"{", "["}:
        return json.loads(value)
    return value


def has(there: Any, shown: Any) -> bool:
    """Whether what is shown is there; the page may leave fields out."""
    if isinstance(there, dict) and isinstance(shown, dict):
        return all(
            name in there and (name in OTHERWISE or has(there[name], value))
            for name, value in shown.items()
        )
    if isinstance(there, list) and isinstance(shown, list):
        return len(there) == len(shown) and all(map(has, there, shown))
    if isinstance(there, float) and isinstance(shown, float):
        return there == pytest.approx(shown, rel=ALIKE, abs=ALIKE)
    return bool(there == shown)


BLOCKS = re.findall(r"^```(json|text)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("language", "block"), BLOCKS, ids=[text[:40] for _, text in BLOCKS])
def test_a_run_has_what_the_page_shows(seen: list[Any], language: str, block: str) -> None:
    shown = json.loads(block) if language == "json" else block.strip()
    assert any(has(opened(each), shown) for each in seen)


def test_each_station_has_a_door() -> None:
    stations = re.split(r"^### \d+\. ", PAGE, flags=re.MULTILINE)[1:]
    assert len(stations) == STATIONS
    assert all(map(doors_in, stations))
