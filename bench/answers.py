"""What answers are worth: a run over what is known, and what keeping everything takes."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from bench.fleet import run_workers
from bench.measures import NO_QUOTA, Rows
from bench.report import Row
from bench.stub import Scenario
from bench.stub.rekognition import has_car, labels_reply
from bench.stub.s3 import Images
from bench.stub.scenario import key_of
from workers.answer import LabelAnswer
from workers.ledger import SqliteLedger
from workers.model import Box, Label
from workers.question import FLOOR


def answers(quick: bool) -> Rows:
    """A new run over a bucket that is known, and what keeping all labels takes A."""
    keys = 2000 if quick else 1_000_000
    for cars in (0.0, 0.1):
        scenario = Scenario(keys, NO_QUOTA, cars=cars, s3_seconds=0)
        run = run_workers(scenario, texts=0, in_flight=100, prepare=partial(_answer, scenario))
        (label,) = run.labels
        yield {
            "run": f"all known, {cars:.0%} cars",
            "images": keys,
            "seconds": run.seconds,
            "A CPU µs an image": label.cpu / keys * 1e6,
            "A memory MB": label.memory,
            "paid calls": run.images,
        }
    images, quota = (50, 50) if quick else (3000, 100)
    for asked, module in (("all labels", "console"), ("one label", "bench.one_label")):
        start, run = (
            run_workers(Scenario(number, quota), texts=0, label_module=module)
            for number in (0, images)
        )
        ((before,), (label,)) = start.labels, run.labels
        yield {
            "run": f"new, {asked}",
            "images": images,
            "seconds": run.seconds,
            "A CPU µs an image": (label.cpu - before.cpu) / images * 1e6,
            "A memory MB": label.memory,
            "paid calls": run.images,
        }


def _answer(scenario: Scenario, state_dir: Path) -> None:
    """Writes the ledger of an earlier run that has looked at every image."""
    images = Images(scenario.image_bytes)
    with closing(SqliteLedger(state_dir / "ledger.sqlite3")) as ledger:
        seen = {car: _label_answer(car) for car in (True, False)}
        keys = map(key_of, range(scenario.images))
        while some := [
            ledger.keep(images.picture(key), seen[has_car(key, scenario.cars)])
            for key in islice(keys, 10_000)
        ]:
            some[-1].result()


def _label_answer(car: bool) -> LabelAnswer:
    """What the stub says of an image, as the label worker keeps it."""
    labels = (
        Label(found["Name"], round(found["Confidence"], 5), _boxes(found["Instances"]))
        for found in json.loads(labels_reply(car))["Labels"]
    )
    return LabelAnswer(FLOOR, "3.0", tuple(labels))


def _boxes(instances: list[Row]) -> tuple[Box, ...]:
    boxes = (instance["BoundingBox"] for instance in instances)
    return tuple(Box(b["Left"], b["Top"], b["Width"], b["Height"]) for b in boxes)
