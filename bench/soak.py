"""A long run: a million images through the pair at full speed, with a kill a minute."""

from __future__ import annotations

import json
import math
import os
import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.child import Child
from bench.fleet import KINDS, PATIENCE, processes, wait_for_quiet, wrong_lines
from bench.measures import NO_QUOTA, Rows
from bench.report import Row
from bench.stub import Scenario, Stub
from workers.events import NAMES, TextRead

# one image in four has a car and is read: both workers have enough to do
CARS = 0.25
IN_FLIGHT = 200
# a dead text worker's images come again after so long
HIDDEN_SECONDS = 20
KILL_SECONDS = 60.0
# of the picture, and how many samples each has at least
POINTS, SAMPLES = 120, 8
QUARTERS = ("first", "second", "third", "last")
# what has grown by so much from the first quarter to the last is not flat
FLAT = 1.2
MB = 1e6


@dataclass
class Length:
    """How many images it takes."""

    images: int = 1_000_000


LENGTH = Length()


@dataclass
class _Sample:
    """What a worker has at a moment; sizes in MB."""

    role: str
    when: float
    memory: float
    files: int
    ledger: float
    wal: float


class _Pair:
    """Both workers; one that is killed is started again on the same disk."""

    def __init__(self, stub: Stub, children: list[Child], folder: Path) -> None:
        self._children = children
        self._folder = folder
        self._environment = stub.environment(
            quota=NO_QUOTA,
            in_flight=IN_FLIGHT,
            visibility_timeout=HIDDEN_SECONDS,
            state_dir="state",
            over_budget=True,
        )
        self._logs = count()
        self.at_work: dict[str, Child] = {}
        self.kills: list[tuple[str, float]] = []
        """Of whom, and when."""
        for _, role, _ in KINDS:
            self.start(role)

    def start(self, role: str) -> None:
        """From where it was."""
        child = Child(role, self._environment, self._folder / role)
        self._children.append(child)
        self.at_work[role] = child

    def kill_one(self) -> None:
        """Any one that has not ended."""
        alive = [child for child in self.at_work.values() if not child.has_ended]
        if alive:
            child = random.choice(alive)
            child.kill()
            self.kills.append((child.role, time.time()))
            # the next one begins a log of its own
            child.log.rename(child.folder / f"log-{next(self._logs)}")
            self.start(child.role)

    @property
    def has_ended(self) -> bool:
        """Whether both have, and nobody has killed them."""
        return all(child.has_ended for child in self.at_work.values())

    def samples(self) -> Iterator[_Sample]:
        """Of those that are at work."""
        for role, child in self.at_work.items():
            process, ledger = Path(f"/proc/{child.process.pid}"), child.folder / "state"
            try:
                status = (process / "status").read_text().splitlines()
                (memory,) = (int(line.split()[1]) for line in status if "VmRSS" in line)
                files = len(os.listdir(process / "fd"))  # noqa: PTH208 - their names are enough
                size = (ledger / "ledger.sqlite3").stat().st_size / MB
                wal = (ledger / "ledger.sqlite3-wal").stat().st_size / MB
            except (FileNotFoundError, ProcessLookupError, ValueError):
                # it begins, or it has ended
                continue
            yield _Sample(role, time.time(), memory * 1024 / MB, files, size, wal)

    def commits(self) -> Iterator[tuple[str, float]]:
        """Each index that was read, and when that was in the ledger."""
        name = f'"{NAMES[TextRead]}"'
        for log in sorted((self._folder / "text").glob("log*")):
            with log.open() as lines:
                # a kill breaks off a line
                for line in (line for line in lines if name in line and line.endswith("\n")):
                    said = json.loads(line)
                    yield said["index"], datetime.fromisoformat(said["time"]).timestamp()


def soak(quick: bool) -> Rows:
    """What the pair takes in each quarter of the run's time, and last against first."""
    images = 1000 if quick else LENGTH.images
    kills = iter((2.0, 4.0)) if quick else count(KILL_SECONDS, KILL_SECONDS)
    scenario = Scenario(images, NO_QUOTA, cars=CARS)
    wait_for_quiet(PATIENCE.seconds)
    with processes() as children, Stub(scenario) as stub:
        pair, began = _Pair(stub, children, children.folder), time.time()
        samples: list[_Sample] = []
        next_kill = next(kills)
        while not pair.has_ended:
            time.sleep(0.25 if quick else 1.0)
            samples += pair.samples()
            if time.time() - began >= next_kill:
                pair.kill_one()
                next_kill = next(kills, math.inf)
        record = stub.record()
        # what was left by a kill at the end nobody has seen again
        deleted = record["deleted"]
        waits = [(at, deleted[index] - at) for index, at in pair.commits() if index in deleted]
        problems = _problems(pair, record, images)
    measured = _Measured(began, time.time(), samples, waits, pair.kills, record)
    quarters = [measured.between(*bounds) for bounds in measured.stretches(len(QUARTERS))]
    yield from (
        {"quarter of the time": name, **row} for name, row in zip(QUARTERS, quarters, strict=True)
    )
    change = {
        name: last / quarters[0][name]
        for name, last in quarters[-1].items()
        if quarters[0].get(name) and isinstance(last, float | int) and name != "images"
    }
    yield {"quarter of the time": "last to first", **change}
    yield {
        "quarter of the time": "in all",
        "images": images,
        "seconds": measured.ended - began,
        **{f"{name} killed": measured.killed(role) for name, role, _ in KINDS},
        **{
            f"{name} paid again": record[operation]["paid"] - record[operation]["images"]
            for name, _, operation in KINDS
        },
        "not flat": ", ".join(name for name, by in change.items() if by > FLAT) or "nothing",
        "problems": "; ".join(problems),
        "series": measured.series(),
    }


def _problems(pair: _Pair, record: dict[str, Any], images: int) -> list[str]:
    """What went wrong though both were content."""
    problems = [
        f"the {role} worker ended with {child.status()}"
        for role, child in pair.at_work.items()
        if child.status()
    ]
    if record["DetectLabels"]["images"] != images:
        problems.append(f"{record['DetectLabels']['images']} of {images} images were looked at")
    killed = Counter(role for role, _ in pair.kills)
    for name, role, operation in KINDS:
        again = record[operation]["paid"] - record[operation]["images"]
        if again > killed[role] * IN_FLIGHT:
            problems.append(f"{again} calls of {name} were paid for again, {killed[role]} kills")
    cars = record["DetectText"]["images"]
    return problems or [*filter(None, [wrong_lines(pair.at_work["text"], cars)])]


@dataclass
class _Measured:
    """The whole run; times in seconds since 1970."""

    began: float
    ended: float
    samples: list[_Sample]
    waits: list[tuple[float, float]]
    """When an image was in the ledger, and how long until its message was deleted."""
    kills: list[tuple[str, float]]
    record: dict[str, Any]

    def killed(self, role: str) -> int:
        return sum(of == role for of, _ in self.kills)

    def stretches(self, number: int) -> Iterator[tuple[float, float]]:
        """The time in which A has images, in so many stretches."""
        last = max(self.record["DetectLabels"]["taken"])
        step = (last - self.began) / number
        for begin in range(number):
            yield self.began + begin * step, self.began + (begin + 1) * step

    def between(self, begin: float, end: float) -> Row:
        """The medians of a stretch, and of the waits the slowest hundredth, too."""
        taken = self.record["DetectLabels"]["taken"]
        images = bisect_right(taken, end) - bisect_right(taken, begin)
        row: Row = {"images": images, "images/s": images / (end - begin)}
        some = [sample for sample in self.samples if begin <= sample.when < end]
        for name, role, operation in KINDS:
            ours = [sample for sample in some if sample.role == role]
            if not ours:
                continue
            row[f"{name} memory MB"] = median(sample.memory for sample in ours)
            row[f"{name} open files"] = median(sample.files for sample in ours)
            if done := bisect_right(self.record[operation]["taken"], ours[-1].when):
                row[f"{name} ledger bytes an image"] = ours[-1].ledger * MB / done
            row[f"{name} WAL MB"] = median(sample.wal for sample in ours)
        waits = [seconds * 1000 for when, seconds in self.waits if begin <= when < end]
        if len(waits) > 1:
            row["commit to delete p50 ms"] = median(waits)
            row["commit to delete p99 ms"] = quantiles(waits, n=100)[98]
        return row

    def series(self) -> list[Row]:
        """Stretch by stretch, for a picture."""
        stretches = [*self.stretches(max(len(QUARTERS), min(POINTS, len(self.samples) // SAMPLES)))]
        return [
            {
                "minutes": ((begin + end) / 2 - self.began) / 60,
                **self.between(begin, end),
            }
            for begin, end in stretches
        ]
