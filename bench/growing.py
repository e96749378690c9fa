"""A fleet in which workers are killed and replaced, to which some come and from which some go."""

from __future__ import annotations

import random
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.child import Child
from bench.cost import table_for_a_million
from bench.fleet import (
    KINDS,
    PATIENCE,
    ROLES,
    busy_seconds,
    processes,
    wait_for_quiet,
    wrong_lines,
)
from bench.measures import Rows
from bench.report import Row
from bench.stub import PARTS, TABLE, Scenario, Stub

WORKERS, SECONDS, KILL_SECONDS = 8, 240, 20
# calls/s a worker: at the second one two cores are no limit
EACH = (20, 5)
IN_FLIGHT = 16
# a dead text worker's images come again after so long; its calls are tried for less
HIDDEN_SECONDS, RETRY_SECONDS = 20, 10
# towards the end nobody is killed: the run is to end with the others
KILLING = 0.9
FINISHED, ASKED = 0, 75
WINDOW = 10


class _Fleet:
    """The workers of both kinds; one that is killed is replaced by one with an empty disk."""

    def __init__(self, stub: Stub, children: list[Child], folder: Path, quota: float) -> None:
        self._children = children
        self._folder = folder
        self._settings = {
            "quota": quota,
            "ledger": f"dynamodb://{TABLE}",
            "parts_queue_url": stub.url_of(PARTS),
            "in_flight": IN_FLIGHT,
            "visibility_timeout": HIDDEN_SECONDS,
            "retry_seconds": RETRY_SECONDS,
            "state_dir": "state",
        }
        self._stub = stub
        self._killed: list[Child] = []
        self._asked: list[Child] = []

    def start(self, role: str) -> None:
        """One more."""
        folder = self._folder / f"{role}-{len(self._children)}"
        self._children.append(Child(role, self._stub.environment(**self._settings), folder))

    def kill_one(self) -> None:
        """Kills any one, and replaces it."""
        killed = random.choice(self.at_work)
        killed.kill()
        self._killed.append(killed)
        self.start(killed.role)

    def ask_to_leave(self, role: str) -> None:
        """One less: it is asked to stop, as a machine's shutdown does."""
        asked = next(child for child in self.at_work if child.role == role)
        asked.process.terminate()
        self._asked.append(asked)

    @property
    def at_work(self) -> list[Child]:
        """Those that have not ended."""
        return [child for child in self._children if not child.has_ended]

    @property
    def kills(self) -> Counter[str]:
        """How many of each kind were killed."""
        return Counter(child.role for child in self._killed)

    def problems(self, cars: int) -> list[str]:
        """Who has ended with what it should not, and whose output is wrong."""
        problems = []
        for child in self._children:
            if child in self._killed:
                continue
            status = child.status()
            if status != (ASKED if child in self._asked else FINISHED):
                problems.append(f"a {child.role} worker ended with {status}")
            elif status == FINISHED and child.role == "text":
                problems += filter(None, [wrong_lines(child, cars)])
        return problems


def growing(quick: bool) -> Rows:
    """8 + 8 workers: one killed every 20 s, two more and two less in mid-run."""
    workers, seconds = (2, 8) if quick else (WORKERS, SECONDS)
    for each in EACH[:1] if quick else EACH:
        yield _grow_and_shrink(workers, each * workers, seconds)


def _grow_and_shrink(workers: int, quota: int, seconds: int) -> Row:
    scenario = Scenario(quota * seconds, quota)
    wait_for_quiet(PATIENCE.seconds)
    with processes() as children, Stub(scenario) as stub:
        fleet = _Fleet(stub, children, children.folder, quota)
        began, clock, busy = time.time(), time.monotonic(), busy_seconds()
        for role in ROLES * workers:
            fleet.start(role)
        kills = range(KILL_SECONDS, int(KILLING * seconds), KILL_SECONDS)
        events: list[tuple[float, Callable[[], None]]] = [(at, fleet.kill_one) for at in kills]
        for role in ROLES:
            events.append((seconds / 3, partial(fleet.start, role)))
            events.append((seconds * 2 / 3, partial(fleet.ask_to_leave, role)))
        for at, happen in sorted(events, key=lambda event: event[0]):
            time.sleep(max(0.0, clock + at - time.monotonic()))
            happen()
        while fleet.at_work:
            time.sleep(0.1)
        took, cores = time.monotonic() - clock, busy_seconds() - busy
        problems = fleet.problems(scenario.images)
        record = stub.record()
    row: Row = {
        "workers": f"{workers} + {workers}",
        "quota": quota,
        "images": scenario.images,
        "seconds": took,
        "killed": ", ".join(f"{fleet.kills[role]} {name}" for name, role, _ in KINDS),
    }
    for name, role, operation in KINDS:
        calls = record[operation]
        used = calls["images"] / quota / (calls["taken"][-1] - began)
        row[f"{name} share of quota, whole run"] = used
        busiest = _most(calls["taken"]) / WINDOW / quota
        row[f"{name} share of quota, the busiest {WINDOW} s"] = busiest
        row[f"{name} paid again"] = again = calls["paid"] - calls["images"]
        if calls["images"] != scenario.images:
            problems.append(f"{calls['images']} images were paid for by {name}")
        if again > fleet.kills[role] * IN_FLIGHT:
            problems.append(f"{again} calls of {name} were paid for again")
    row["throttled"] = sum(record[operation]["throttled"] for _, _, operation in KINDS)
    row |= table_for_a_million(record["units"], scenario.images)
    row["cores in all"] = cores / took
    return {**row, "problems": "; ".join(problems)}


def _most(taken: list[float]) -> int:
    """The most calls that were let in within any window."""
    return max(bisect_left(taken, when + WINDOW) - number for number, when in enumerate(taken))
