"""A small quota costs time and nothing else."""

from __future__ import annotations

import pytest

from sandbox.aws.rekognition import service as rekognition
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet, told_apart

QUOTA = 20


@pytest.fixture
def scarce() -> None:
    rekognition.reset_counts()
    rekognition.knobs.calls_per_second = QUOTA
    yield
    rekognition.knobs.calls_per_second = None


@pytest.mark.slow
def test_64_threads_at_20_calls_a_second(fleet: Fleet, samples: list[Sample], scarce: None) -> None:
    images = [(f"{n}.jpg", told_apart(samples[n % 10], n)) for n in range(300)]
    fleet.sandbox.create_bucket(fleet.bucket, images)
    pair = fleet.run_pair(quota=QUOTA, in_flight=64)
    assert [worker.wait() for worker in pair] == [0, 0]
    assert fleet.failures() == {}
    assert not any(row["failure"] for row in fleet.results().values())
    counts = rekognition.counts()
    calls = sum(c["good"] + c["throttled"] for c in counts.values())
    throttled = sum(c["throttled"] for c in counts.values())
    assert throttled < calls / 100, counts


@pytest.mark.slow
def test_a_quota_that_is_smaller_than_was_said_fails_no_image(
    fleet: Fleet, samples: list[Sample], scarce: None
) -> None:
    rekognition.knobs.calls_per_second = 5
    images = [(f"{n}.jpg", told_apart(samples[n % 10], n)) for n in range(60)]
    fleet.sandbox.create_bucket(fleet.bucket, images)
    assert [worker.wait() for worker in fleet.run_pair(quota=50)] == [0, 0]
    assert fleet.failures() == {}
    assert len(fleet.results()) == sum(samples[n % 10].truth.car for n in range(60))
    counts = rekognition.counts()["DetectLabels"]
    assert counts["throttled"] < counts["good"]
