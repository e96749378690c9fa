"""A bucket, a queue, a ledger, and a Rekognition that is asked: one situation of both workers."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from tenacity import wait_none

from console.services import services_on
from tests.unit.fakes import FakeS3, client, png
from tests.unit.unruly_queue import SOMEBODY_ELSE, UnrulyQueue, written_by_hand
from workers.alive import Alive
from workers.aws.calls import Calls
from workers.index_queue.messages import end_entry, image_entry
from workers.label_worker import LabelWorker
from workers.ledger import Ledger, SqliteLedger
from workers.model import NO_PICTURE, Decision, Label, Picture, RunEnd
from workers.services import Services
from workers.settings import Settings
from workers.text_worker import TextWorker
from workers.threads.stop import Stop

Detect = Callable[[str], Any]

CAR = (Label("Car", 95.0),)


class Scene:
    """A bucket of images, a queue that behaves, a ledger, and what Rekognition was asked."""

    def __init__(self, settings: Settings, ledger: Ledger | None = None) -> None:
        self.settings = settings
        self.queue = UnrulyQueue(random.Random(0), "as sent", chance=0, second=0.1)
        self.s3 = FakeS3({})
        self.asked: list[str] = []
        self.ledger = ledger or SqliteLedger(settings.state_dir / "ledger.sqlite3")
        self.floors: list[float] = []
        self.label: Detect = lambda _: 95.0
        self.text: Detect = lambda key: f"text of {key}"
        self.stop = Stop()

    def images(self, *keys: str) -> Scene:
        """Of each key another picture."""
        for key in keys:
            self.copies(key, of=key)
        return self

    def copies(self, *keys: str, of: str) -> Scene:
        """One picture under all of the keys; `of` is what the text worker is asked about."""
        self.s3.objects |= {key: png(tail=of.encode()) for key in keys}
        return self

    def picture(self, key: str) -> Picture:
        return Picture(self.s3.etag(key), len(self.s3.objects[key]))

    def found(self, *keys: str, run: str = "default") -> Scene:
        """A label worker has put these on the queue, and does not say of which picture."""
        return self.images(*keys).send(dict.fromkeys(keys, NO_PICTURE), run)

    def labelled(self, *keys: str, run: str = "default") -> Scene:
        """A label worker has put what lies there under these keys on the queue."""
        return self.send({key: self.picture(key) for key in keys}, run)

    def send(self, pictures: dict[str, Picture], run: str = "default") -> Scene:
        for key, picture in pictures.items():
            self.queue.add(image_entry(Decision(run, 0, key, picture, CAR)))
        return self

    def end(self, expected: int, run: str = "default") -> Scene:
        self.queue.add(end_entry(RunEnd(run, expected)))
        return self

    def forged(self, *entries: dict[str, Any]) -> Scene:
        """Somebody else has sent these."""
        for entry in entries:
            self.queue.add(entry, SOMEBODY_ELSE)
        return self

    def bare_end(self) -> Scene:
        self.queue.add(written_by_hand("-1"))
        return self

    def shows_late(self) -> Scene:
        """The ledger shows what was kept a moment ago only where that is asked for, as a table."""

        def those(kind: str, pictures: list[Picture], just_kept: Any = None) -> Any:
            return answers(kind, [p for p in pictures if just_kept is None or p in just_kept])

        def but_those(run: str, indexes: list[str], again: Any = None) -> Any:
            seen = [each for each in indexes if again is None or each in again]
            return {*indexes} - {*seen} | not_done(run, seen)

        ledger: Any = self.ledger
        answers, ledger.answers = ledger.answers, those
        not_done, ledger.not_done = ledger.not_done, but_those
        return self

    def start(self, kind: type[LabelWorker | TextWorker], **fields: Any) -> None:
        """Runs a worker until it ends; raises what it raises."""
        self.stop = Stop()
        fleet, name = self.ledger.fleet, kind.__name__
        with Alive(fleet, name, self.stop) if fleet else nullcontext() as alive:
            services = self.services(alive, **fields)
            kind(self.settings.model_copy(update=fields), services, self.stop).run()

    def services(self, alive: Alive | None = None, **fields: Any) -> Services:
        """What a worker has."""
        rekognition = client(detect_labels=self._detect_labels, detect_text=self._detect_text)
        settings = self.settings.model_copy(update=fields)
        calls = Calls(settings, self.stop, backoff=wait_none())
        clients = (self.s3, self.queue, rekognition)
        return services_on(settings, self.ledger, self.stop, calls, clients, alive=alive)

    def run(self, name: str, **fields: Any) -> tuple[list[str], list[str]]:
        """Runs the pair to its end; which keys A paid for, and which pictures B."""
        self.asked.clear()
        self.start(LabelWorker, run=name, **fields)
        labels = sorted(self.asked)
        self.asked.clear()
        self.start(TextWorker, run=name, **fields)
        return labels, sorted(self.asked)

    def _detect_labels(
        self,
        Image: dict[str, Any],  # noqa: N803
        MinConfidence: float,  # noqa: N803
        **_: Any,
    ) -> Any:
        key = Image["S3Object"]["Name"]
        self.asked.append(key)
        self.floors.append(MinConfidence)
        seen = self.label(key)
        labels = seen if isinstance(seen, dict) else {"Car": seen}
        found = [{"Name": n, "Confidence": c} for n, c in labels.items() if c]
        return {"Labels": [label for label in found if label["Confidence"] >= MinConfidence]}

    def _detect_text(self, Image: dict[str, Any]) -> Any:  # noqa: N803
        key = Image["Bytes"].removeprefix(png()).decode()
        self.asked.append(key)
        line = {"Type": "LINE", "Confidence": 99.0, "Geometry": {"Polygon": []}}
        return {"TextDetections": [{**line, "DetectedText": t} for t in self.text(key).split("\n")]}

    def results(self, run: str = "default") -> dict[str, dict[str, Any]]:
        """The rows of results.jsonl by index."""
        rows = [json.loads(row) for row, _ in self.ledger.results(run)]
        return {row["index"]: row for row in rows}

    @property
    def left(self) -> list[str]:
        return [message.body for message in self.queue.messages]

    def sent(self, body: str) -> list[dict[str, str]]:
        return [
            {name: value["StringValue"] for name, value in message.attributes.items()}
            for message in self.queue.messages
            if message.body == body
        ]


def soon(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.005)


@contextmanager
def alongside(
    scene: Scene, kind: type[LabelWorker | TextWorker], **fields: Any
) -> Iterator[threading.Thread]:
    """A worker that runs beside the test, which then has it end."""
    worker = threading.Thread(target=scene.start, args=[kind], kwargs=fields, daemon=True)
    worker.start()
    try:
        yield worker
    except BaseException:
        # else it would outlive a test that fails
        scene.stop.ask()
        raise
    worker.join(10)
    assert not worker.is_alive()


def at_last(said: list[dict[str, Any]], event: str, **fields: Any) -> dict[str, Any]:
    """The first line with these fields, once it has come."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in said if line["event"] == event and fields.items() <= line.items()]

    soon(lines)
    return lines()[0]


def about_images(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that say what became of an image."""
    return [line for line in said if "ms" in line]
