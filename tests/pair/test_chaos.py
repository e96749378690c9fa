"""Stopped and restarted at random, the pair ends as if nothing had happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from sandbox.aws.rekognition import service as rekognition
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet, Worker, told_apart

IMAGES = 150
STOPS = 6
IN_FLIGHT = 8


@pytest.fixture
def many(
    fleet: Fleet, samples: list[Sample], truth: Callable[[Sample], str | None]
) -> tuple[Fleet, str, int]:
    """150 images of ten scenes in the bucket; the right output, and how many have a car."""
    chosen = [samples[number % len(samples)] for number in range(IMAGES)]
    keys = [f"{number + 1}.jpg" for number in range(IMAGES)]
    images = [
        (key, told_apart(sample, number))
        for number, (key, sample) in enumerate(zip(keys, chosen, strict=True))
    ]
    fleet.sandbox.create_bucket(fleet.bucket, images)
    lines = [
        f"{key}: {truth(sample)}\n"
        for key, sample in zip(keys, chosen, strict=True)
        if truth(sample)
    ]
    rekognition.reset_counts()
    rekognition.knobs.latency_seconds, rekognition.knobs.latency_jitter = 0.3, 0.5
    yield fleet, "".join(lines), sum(sample.truth.car for sample in chosen)
    rekognition.knobs.latency_seconds = rekognition.knobs.latency_jitter = 0.0


def _paid() -> tuple[int, int]:
    counts = rekognition.counts()
    return counts["DetectLabels"]["good"], counts["DetectText"]["good"]


def _start(fleet: Fleet, role: str) -> Worker:
    return fleet.start(role, in_flight=IN_FLIGHT, visibility_timeout=3, quota=200)


def test_sigterm_repeats_no_paid_call(many: tuple[Fleet, str, int]) -> None:
    fleet, expected, cars = many
    chance = random.Random(7)
    statuses = []
    workers = {role: _start(fleet, role) for role in ("label", "text")}
    for _ in range(STOPS):
        time.sleep(chance.uniform(0.8, 1.4))
        role = chance.choice(["label", "text"])
        if not any(line["event"] == "already finished" for line in workers[role].events):
            # before that its own handler may not be there, and nothing is in flight
            workers[role].wait_for("start")
        statuses.append(workers[role].terminate())
        workers[role] = _start(fleet, role)
    assert [worker.wait() for worker in workers.values()] == [0, 0]

    assert 75 in statuses, "no worker was stopped in the middle"
    assert set(statuses) <= {0, 75}
    assert fleet.output() == expected
    assert _paid() == (IMAGES, cars)
