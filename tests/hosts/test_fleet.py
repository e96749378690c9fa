"""A fleet on booted hosts: machines are added, lose their power and are taken away in mid-run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.aws.rekognition.service import knobs, reset_counts
from sandbox.hosts import mission
from sandbox.hosts.hosts import Hosts
from sandbox.scenes import Sample, sample_images
from tests.hosts.conftest import SHORT, Deployment, Played, paid, read_output, unit
from tests.pair.conftest import told_apart

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800, func_only=True)]

# the run outlasts two applies and two playbooks
QUOTA, IMAGES, NEW_IMAGES = 5, 1700, 500
# so that whatever is killed has calls in flight
LATENCY_SECONDS = 2.0
IN_FLIGHT = 8
MORE = {"CARTEXT_IN_FLIGHT": IN_FLIGHT, "CARTEXT_PROGRESS_SECONDS": 5}
END_SECONDS = 900

OLD = ("label-1", "label-2", "text-1", "text-2")
NEW = ("label-3", "text-3")
LABELS = ("label-1", "label-2", "label-3")
TEXTS = ("text-1", "text-2", "text-3")


class Fleet(Deployment):
    """Several workers of each kind, which share a ledger."""

    def put(self, images: int) -> None:
        """Puts so many more pictures into the bucket."""
        first = len(self.samples) + 1
        scenes = [self.samples[(n - 1) % 10] for n in range(first, first + images)]
        new = [Sample(f"{n}.jpg", told_apart(s, n), s.truth) for n, s in enumerate(scenes, first)]
        s3 = self.hosts.sandbox.client("s3")
        for sample in new:
            s3.put_object(Bucket=mission.BUCKET, Key=sample.index, Body=sample.data)
        self.samples += new

    def cars(self, first: int = 0) -> int:
        """How many pictures have a car."""
        return sum(sample.truth.car for sample in self.samples[first:])

    def converge(self) -> Played:
        return self.site("-e", json.dumps({"more_settings": MORE}))

    def process(self, key: str) -> str:
        """The process of a worker."""
        return self.ssh(key, f"systemctl show --value -p MainPID {unit(key)}").strip()

    def works(self, key: str, run: str) -> bool:
        """Whether it has done a picture of the run."""
        did = "read" if key.startswith("text") else "labelled"
        return bool(self.events(key, run, did))

    def lister(self, run: str) -> str:
        """The label worker who lists now."""
        since = {
            key: event["time"]
            for key in LABELS
            for event in self.events(key, run, "lists from here")
        }
        return max(since, key=lambda key: since[key])

    def home(self, run: str, key: str, name: str) -> str:
        """A file of a text worker's output that was brought home."""
        return (self.runs / run / f"cartext-{key}" / name).read_text()

    def ends_exact(self, run: str, labels: tuple[str, ...], texts: tuple[str, ...]) -> None:
        """Each worker knows the same end, and each text worker has all of the output."""
        for key in labels:
            assert [end["expected"] for end in self.events(key, run, "end")] == [self.cars()]
        first, *others = [self.home(run, key, "output.txt") for key in texts]
        assert read_output(first) == self.truth()
        assert others == [first] * len(others)
        first, *others = [self.home(run, key, "results.jsonl") for key in texts]
        rows = [json.loads(line)["index"] for line in first.splitlines()]
        assert sorted(rows) == sorted(s.index for s in self.samples if s.truth.car)
        assert others == [first] * len(others)


@pytest.fixture(scope="module")
def fleet(hosts: Hosts, folders: tuple[Path, Path]) -> Iterator[Fleet]:
    """Two workers of each kind, at rest."""
    samples = list(sample_images(10))
    images = [(sample.index, sample.data) for sample in samples]
    stack = mission.apply(hosts, images, label_workers=2, text_workers=2, quota=QUOTA, **SHORT)
    fleet = Fleet(hosts, stack, samples, *folders, stack.outputs())
    fleet.put(IMAGES - len(samples))
    fleet.converge()
    yield fleet
    for playing in fleet.playing:
        playing.process.kill()


@pytest.fixture(autouse=True)
def slow_calls(usual_knobs: None) -> None:
    """A call takes its time, and is counted."""
    reset_counts()
    knobs.latency_seconds = LATENCY_SECONDS


def paid_again(operation: str) -> int:
    """How many calls were about a picture that had been paid for."""
    return sum(times - 1 for times in paid()[operation].values())


def test_grows_in_mid_run_and_loses_a_machine(fleet: Fleet) -> None:
    run = "grown"
    of_before = fleet.start(run, "-e", f"runs_dir={fleet.runs / 'before'}")
    fleet.wait_until("the middle", lambda: all(fleet.works(key, run) for key in OLD))
    processes = {key: fleet.process(key) for key in OLD}

    fleet.apply(label_workers=3, text_workers=3)
    changed = {host: count["changed"] for host, count in fleet.converge().recap.items()}
    assert {key: changed[f"cartext-{key}"] for key in OLD} == dict.fromkeys(OLD, 0)
    assert all(changed[f"cartext-{key}"] for key in NEW)
    of_all = fleet.start(run)
    fleet.wait_until("the new ones", lambda: all(fleet.works(key, run) for key in NEW))
    assert {key: fleet.process(key) for key in OLD} == processes

    cut = fleet.lister(run)
    left = tuple(key for key in LABELS if key != cut)
    assert not any(fleet.events(key, run, "end") for key in LABELS), "it was over before the cut"
    fleet.hosts.power_cut(f"cartext-{cut}")
    for follower in (of_before, of_all):
        played = follower.end(END_SECONDS)
        assert played.status == 0, played.output
        assert f"cartext-{cut} does not answer" in played.output

    fleet.ends_exact(run, left, TEXTS)
    assert set(paid()["DetectLabels"]) == {sample.index for sample in fleet.samples}
    assert 0 < paid_again("DetectLabels") <= IN_FLIGHT
    assert len(paid()["DetectText"]) == fleet.cars()
    assert paid_again("DetectText") == 0
    assert fleet.lister(run) in left

    # it goes on by itself, and finds that the others have done it all
    fleet.hosts.power_on(f"cartext-{cut}")
    fleet.wait_until("its end", lambda: fleet.events(cut, run, "already finished"))


def test_shrinks_in_mid_run(fleet: Fleet) -> None:
    run, known = "shrunk", len(fleet.samples)
    fleet.put(NEW_IMAGES)
    follower = fleet.start(run)
    fleet.wait_until("the middle", lambda: all(fleet.works(key, run) for key in NEW))
    fleet.apply(label_workers=2, text_workers=2)
    assert not fleet.events("label-1", run, "end"), "it was over before they went"
    played = follower.end(END_SECONDS)
    assert played.status == 0, played.output
    for key in NEW:
        assert f"cartext-{key} has been stopped or taken away" in played.output
    fleet.ends_exact(run, LABELS[:2], TEXTS[:2])
    # whoever is killed has calls in flight, and these would be paid for again
    assert len(paid()["DetectLabels"]) == NEW_IMAGES
    assert len(paid()["DetectText"]) == fleet.cars(known)
    assert (paid_again("DetectLabels"), paid_again("DetectText")) == (0, 0)
