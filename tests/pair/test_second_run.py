"""A picture is paid for once, ever: a second run over a bucket in which much has happened."""

from __future__ import annotations

import io
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from sandbox.aws.rekognition import service as rekognition
from sandbox.aws.rekognition.images import Picture
from tests.ledger_table import ledger_table
from tests.pair.conftest import Fleet, Worker
from tests.unit.fakes import etag
from workers.ledger import SqliteLedger
from workers.model import natural_key

IMAGES, KILLS = 150, 12
IN_FLIGHT = 8


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (100, 100)).save(file, "PNG")
    return file.getvalue()


PNG = _png()


def text_of(number: int) -> str | None:
    return f"NR {number}" if number % 2 else None


@dataclass
class Paid:
    """Rekognition, which here believes the number that stands behind a picture's end.

    A car is on one picture in `cars`.
    """

    cars: int = 3
    labels: Counter[int] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def detect_labels(self, picture: Picture, _: Any) -> Any:
        number = self._count(self.labels, picture)
        confidence = 97.0 if self.has_car(number) else 70.0
        return {"Labels": [{"Name": "Car", "Confidence": confidence}], "LabelModelVersion": "3.0"}

    def detect_text(self, picture: Picture, _: Any) -> Any:
        text = text_of(self._count(self.texts, picture))
        line = {"Type": "LINE", "Confidence": 99.0, "Geometry": {"Polygon": []}}
        return {"TextDetections": [{**line, "DetectedText": text}] if text else []}

    def has_car(self, number: int) -> bool:
        return number % self.cars == 0

    def _count(self, counter: Counter[int], picture: Picture) -> int:
        number = int(picture.data.removeprefix(PNG))
        with self.lock:
            counter[number] += 1
        return number

    def since(self, before: Paid) -> tuple[Counter[int], Counter[int]]:
        return self.labels - before.labels, self.texts - before.texts

    def copy(self) -> Paid:
        with self.lock:
            return Paid(self.cars, self.labels.copy(), self.texts.copy())


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paid]:
    counting = Paid()
    monkeypatch.setitem(rekognition.OPERATIONS, "DetectLabels", counting.detect_labels)
    monkeypatch.setitem(rekognition.OPERATIONS, "DetectText", counting.detect_text)
    yield counting
    rekognition.knobs.latency_seconds = rekognition.knobs.latency_jitter = 0.0


class Bucket:
    """Which picture lies under which key; `size` keys in the beginning."""

    def __init__(self, fleet: Fleet, paid: Paid, size: int, versioned: bool = False) -> None:
        self._fleet = fleet
        self._paid = paid
        self._size = size
        self.pictures: dict[str, int] = {}
        fleet.sandbox.create_bucket(fleet.bucket)
        self._s3 = fleet.sandbox.client("s3")
        if versioned:
            enabled = {"Status": "Enabled"}
            self._s3.put_bucket_versioning(Bucket=fleet.bucket, VersioningConfiguration=enabled)
        self.put({f"{number + 1}.png": number for number in range(size)})

    def put(self, pictures: dict[str, int]) -> None:
        self.pictures |= pictures
        for key, number in pictures.items():
            body = PNG + str(number).encode()
            self._s3.put_object(Bucket=self._fleet.bucket, Key=key, Body=body)

    def change(self) -> set[int]:
        """Of 10,000: 1,000 new, 500 replaced, 300 deleted, 200 copied; which pictures are new."""
        chance, size = random.Random(15), self._size
        shuffled = chance.sample(sorted(self.pictures), size)
        replaced, deleted = shuffled[: size // 20], shuffled[size // 20 : size * 8 // 100]
        copied = shuffled[size * 8 // 100 : size // 10]
        new = range(size, size + size // 10 + size // 20)
        names = [*replaced, *(f"new/{number}.png" for number in range(size // 10))]
        for key in deleted:
            self._s3.delete_object(Bucket=self._fleet.bucket, Key=key)
        copies = {f"copy/{n}.png": self.pictures[key] for n, key in enumerate(copied)}
        for key in deleted:
            del self.pictures[key]
        self.put({**dict(zip(names, new, strict=True)), **copies})
        return set(new)

    @property
    def cars(self) -> set[str]:
        return {key for key, number in self.pictures.items() if self._paid.has_car(number)}

    @property
    def output(self) -> str:
        keys = sorted(self.cars, key=natural_key)
        texts = ((key, text_of(self.pictures[key])) for key in keys)
        return "".join(f"{key}: {text}\n" for key, text in texts if text)


def check_second_run(paid: Paid, before: Paid, new: set[int]) -> None:
    labels, texts = paid.since(before)
    assert labels == Counter(new)
    assert texts == Counter(filter(paid.has_car, new))


LARGE = pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


@pytest.mark.parametrize("size", [200, LARGE])
def test_a_second_run_pays_for_what_is_new_or_replaced(fleet: Fleet, paid: Paid, size: int) -> None:
    # moto's queue gets slow with many messages
    paid.cars = 3 if size < 1000 else 31
    bucket = Bucket(fleet, paid, size)

    def run(name: str) -> list[Worker]:
        pair = [fleet.start(role, run=name, quota=1000, in_flight=16) for role in ("label", "text")]
        assert [worker.wait(1200) for worker in pair] == [0, 0]
        return pair

    run("monday")
    assert fleet.output(run="monday") == bucket.output
    before, new = paid.copy(), bucket.change()
    pair = run("tuesday")
    check_second_run(paid, before, new)
    assert len(new) == size * 15 // 100
    assert fleet.output(run="tuesday") == bucket.output
    assert set(fleet.results("tuesday")) == bucket.cars
    known = [worker.last("summary")["known"] for worker in pair]
    fresh = sum(map(paid.has_car, new))
    assert known == [len(bucket.pictures) - len(new), len(bucket.cars) - fresh]
    run("wednesday")
    assert paid.since(before)[0].total() == len(new)


def test_a_fleet_on_one_table_too(fleet: Fleet, paid: Paid) -> None:
    """Whatever another worker has paid for is known to all; the bucket keeps what was replaced."""
    ledger = ledger_table(fleet.sandbox)
    parts = fleet.sandbox.create_queue("parts")
    bucket = Bucket(fleet, paid, 100, versioned=True)

    def run(name: str) -> None:
        shared: dict[str, object] = {"ledger": ledger, "run": name, "quota": 1000, "in_flight": 8}
        of_labels = {"parts_queue_url": parts}
        places = [f"{role}-{number}" for role in ("label", "text") for number in range(2)]
        workers = [
            fleet.start(
                place.partition("-")[0],
                state_dir=fleet.folder / place,
                **(of_labels if place.startswith("label") else {}),
                **shared,
            )
            for place in places
        ]
        assert [worker.wait() for worker in workers] == [0] * 4
        for place in ("text-0", "text-1"):
            path = fleet.folder / place / name / "output.txt"
            assert path.read_text(encoding="utf-8") == bucket.output

    run("monday")
    before, new = paid.copy(), bucket.change()
    run("tuesday")
    check_second_run(paid, before, new)


def test_what_is_kept_is_never_paid_for_again_whatever_is_killed(fleet: Fleet, paid: Paid) -> None:
    bucket = Bucket(fleet, paid, IMAGES)
    chance = random.Random(20261126)
    rekognition.knobs.latency_seconds, rekognition.knobs.latency_jitter = 0.4, 0.5
    kept: list[tuple[str, dict[int, int]]] = []
    kills: Counter[str] = Counter()
    workers: dict[str, Worker] = {}

    def start(role: str, run: str) -> None:
        workers[role] = fleet.start(
            role, run=run, in_flight=IN_FLIGHT, visibility_timeout=3, quota=200
        )

    def kill(role: str, run: str) -> None:
        workers[role].kill()
        kills[role] += 1
        kept.append((role, _paid_for(fleet, role, paid)))
        start(role, run)

    def run_and_kill(run: str, times: int) -> None:
        for role in ("label", "text"):
            start(role, run)
        left = times
        while left and any(worker.process.poll() is None for worker in workers.values()):
            time.sleep(chance.uniform(0.3, 1.2))
            role = chance.choice(["label", "text"])
            if workers[role].process.poll() is None:
                kill(role, run)
                left -= 1
        assert [worker.wait() for worker in workers.values()] == [0, 0]
        assert fleet.output(run=run) == bucket.output
        assert set(fleet.results(run)) == bucket.cars

    run_and_kill("monday", KILLS)
    new = bucket.change()
    run_and_kill("tuesday", KILLS // 2)
    assert kills.total() >= KILLS

    for role, calls in kept:
        now = paid.labels if role == "label" else paid.texts
        assert {number: now[number] for number in calls} == calls
    once = set(range(IMAGES)) | new
    assert set(paid.labels) == once
    assert paid.labels.total() - len(once) <= kills["label"] * IN_FLIGHT
    cars = set(filter(paid.has_car, paid.labels))
    assert set(paid.texts) <= cars
    assert paid.texts.total() - len(paid.texts) <= kills["text"] * IN_FLIGHT


def _paid_for(fleet: Fleet, role: str, paid: Paid) -> dict[int, int]:
    """How often each picture is paid for by now of which the killed worker has kept the answer."""
    numbers = {etag(PNG + str(number).encode()): number for number in paid.copy().labels}
    with closing(SqliteLedger(fleet.folder / role / "ledger.sqlite3")) as ledger:
        kept = [numbers[picture.etag] for _, picture, _ in ledger.all_answers()]
    calls = paid.copy().labels if role == "label" else paid.copy().texts
    return {number: calls[number] for number in kept}
