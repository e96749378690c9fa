"""Several workers of each kind on one queue and one ledger, killed and replaced at random."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from sandbox.aws.rekognition import service as rekognition
from sandbox.scenes import Sample
from tests.ledger_table import ledger_table
from tests.pair.conftest import Fleet, Worker, told_apart
from tests.unit.scene import soon

IMAGES = 160
KILLS = 8
IN_FLIGHT = 4
SLOTS = ("label-1", "label-2", "text-1", "text-2", "text-3")


@dataclass
class Instances:
    """The fleet's places: a worker that is replaced begins with an empty disk."""

    fleet: Fleet
    ledger: str
    parts: str
    disks: dict[str, Path] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def start(self, slot: str, new_disk: bool = False) -> Worker:
        if new_disk or slot not in self.disks:
            self.disks[slot] = self.fleet.folder / f"disk-{next(self.numbers)}"
        role, _, _ = slot.partition("-")
        parts = {"parts_queue_url": self.parts} if role == "label" else {}
        self.workers[slot] = self.fleet.start(
            role,
            state_dir=self.disks[slot],
            worker=slot,
            ledger=self.ledger,
            in_flight=IN_FLIGHT,
            visibility_timeout=3,
            quota=40,
            **parts,
        )
        return self.workers[slot]

    def is_at_work(self, slot: str) -> bool:
        """Whether a kill may cost calls."""
        worker = self.workers[slot]
        begun = any(line["event"] in {"labelled", "read"} for line in worker.events)
        return begun and worker.process.poll() is None

    def outputs(self, name: str) -> list[str]:
        """A file of the output as it is on each text worker's disk."""
        return [
            (disk / "test" / name).read_text(encoding="utf-8")
            for slot, disk in self.disks.items()
            if slot.startswith("text")
        ]


@pytest.fixture
def instances(fleet: Fleet) -> Iterator[Instances]:
    ledger = ledger_table(fleet.sandbox)
    rekognition.reset_counts()
    yield Instances(fleet, ledger, fleet.sandbox.create_queue("parts"))
    rekognition.knobs.latency_seconds = rekognition.knobs.latency_jitter = 0.0


@pytest.fixture
def truth_of_many(
    fleet: Fleet, samples: list[Sample], truth: Callable[[Sample], str | None]
) -> tuple[str, int]:
    """The images in the bucket; the output that is right, and how many have a car."""
    chosen = {f"{n + 1}.jpg": samples[n % len(samples)] for n in range(IMAGES)}
    images = [(key, told_apart(s, n)) for n, (key, s) in enumerate(chosen.items())]
    fleet.sandbox.create_bucket(fleet.bucket, images)
    lines = [f"{key}: {truth(sample)}\n" for key, sample in chosen.items() if truth(sample)]
    return "".join(lines), sum(sample.truth.car for sample in chosen.values())


def _paid() -> tuple[int, int]:
    counts = rekognition.counts()
    return counts["DetectLabels"]["good"], counts["DetectText"]["good"]


def test_workers_killed_and_replaced_at_random_lose_and_double_nothing(
    instances: Instances, truth_of_many: tuple[str, int]
) -> None:
    expected, cars = truth_of_many
    rekognition.knobs.latency_seconds, rekognition.knobs.latency_jitter = 0.4, 0.5
    chance = random.Random(20261122)
    for slot in SLOTS:
        instances.start(slot)
    kills = {"label": 0, "text": 0}
    while sum(kills.values()) < KILLS:
        time.sleep(chance.uniform(0.2, 0.6))
        at_work = [slot for slot in SLOTS if instances.is_at_work(slot)]
        if at_work:
            # a kill before its first answer would cost less, and prove less
            slot = chance.choice(at_work)
            instances.workers[slot].kill()
            kills[slot.partition("-")[0]] += 1
            instances.start(slot, new_disk=chance.random() < 0.5)
        else:
            assert any(w.process.poll() is None for w in instances.workers.values()), kills
    statuses = {slot: worker.wait() for slot, worker in instances.workers.items()}

    assert set(statuses.values()) == {0}, statuses
    assert instances.outputs("output.txt") == [expected] * 3
    first, *others = instances.outputs("results.jsonl")
    assert first.count("\n") == cars
    assert others == [first] * 2
    labels, texts = _paid()
    assert 0 <= labels - IMAGES <= kills["label"] * IN_FLIGHT
    assert 0 <= texts - cars <= kills["text"] * IN_FLIGHT
    assert labels + texts > IMAGES + cars, "no kill hit a call in flight, so that nothing was tried"


@pytest.mark.slow
def test_a_worker_that_comes_late_has_the_whole_output_at_no_cost(
    instances: Instances, truth_of_many: tuple[str, int]
) -> None:
    expected, cars = truth_of_many
    for slot in ("label-1", "label-2", "text-1", "text-2"):
        instances.start(slot)
    assert {worker.wait() for worker in instances.workers.values()} == {0}
    late = instances.start("text-3")
    assert late.wait() == 0
    assert late.events[-1]["event"] == "already finished"
    assert instances.outputs("output.txt") == [expected] * 3
    assert _paid() == (IMAGES, cars)
    done = [instances.workers[slot].last("summary")["text_calls"] for slot in ("text-1", "text-2")]
    assert min(done) > 0, "one text worker had nothing to do"


def test_a_fleet_grows_and_shrinks_in_mid_run(
    instances: Instances, truth_of_many: tuple[str, int]
) -> None:
    """Whoever comes takes parts; who is asked to leave gives back what it has not begun."""
    expected, cars = truth_of_many
    rekognition.knobs.latency_seconds = 0.4
    for slot in ("label-1", "text-1"):
        instances.start(slot)
    soon(lambda: instances.is_at_work("label-1"))
    for slot in ("label-2", "label-3", "text-2"):
        instances.start(slot)
    soon(lambda: instances.is_at_work("label-2") and instances.is_at_work("label-3"))
    # the lister among them
    for slot in ("label-1", "text-1"):
        instances.workers[slot].process.terminate()
    left = {slot: worker.wait() for slot, worker in instances.workers.items()}
    assert left == {"label-1": 75, "label-2": 0, "label-3": 0, "text-1": 75, "text-2": 0}
    instances.start("text-1")
    assert instances.workers["text-1"].wait() == 0, "it was done by the others"
    assert instances.outputs("output.txt") == [expected] * 2
    assert _paid() == (IMAGES, cars)


def test_without_a_queue_of_parts_a_fleet_does_not_start(instances: Instances) -> None:
    worker = instances.fleet.start("label", ledger=instances.ledger)
    assert worker.wait() == 78
    assert "set CARTEXT_PARTS_QUEUE_URL" in worker.last("stopped")["reason"]
