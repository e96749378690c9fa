"""Who is alive in a fleet, and that the shares of those that call are never more than the quota."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.alive import DEAD_SECONDS, LAPSED_SECONDS, LOOK_SECONDS, Alive
from workers.threads.stop import Stop

TICK = 0.1
# how long a heartbeat may be under way; with two of these a worker takes itself for dead
SLOW = 2.0


class Fleet:
    """A table that takes a while to write, and the time of all."""

    def __init__(self) -> None:
        self.now = 0.0
        self.table: dict[str, int] = {}
        self._writes: list[tuple[float, Callable[[], object]]] = []

    def write_in(self, seconds: float, write: Callable[[], object]) -> None:
        self._writes.append((self.now + seconds, write))

    def tick(self) -> None:
        self.now = round(self.now + TICK, 3)
        due = [each for each in self._writes if each[0] <= self.now]
        self._writes = [each for each in self._writes if each[0] > self.now]
        for _, write in due:
            write()

    def clock(self) -> float:
        return self.now


class Worker:
    """One whose looks come late, whose heartbeats take a while, and that may freeze or die."""

    def __init__(self, fleet: Fleet, chance: random.Random, slowest: float = 0.5) -> None:
        self._fleet = fleet
        self._chance = chance
        self._next = fleet.now
        self._number = 0
        self.awake_at = fleet.now
        self.slowest = slowest
        self.alive = Alive(None, "label", Stop(), fleet.clock)  # type: ignore[arg-type]
        self.name = self.alive.worker

    def work(self) -> None:
        """`Alive.look`, that takes its time."""
        began, table = self._fleet.now, self._fleet.table
        if began < max(self._next, self.awake_at):
            return
        others = {worker: beat for worker, beat in table.items() if worker != self.name}
        for dead in self.alive._see(others, began):
            table.pop(dead, None)
        self._number += 1
        delay = self._chance.choice([0, 0, 0, TICK, 3 * TICK, self.slowest])

        def written(number: int = self._number) -> None:
            table[self.name] = number
            self.alive._was_seen(began)

        self._fleet.write_in(delay, written)
        self._next = began + delay + LOOK_SECONDS * self._chance.uniform(0.9, 1.3)

    @property
    def share(self) -> float:
        """What it calls with: one that is frozen does not call."""
        return self.alive.share() if self._fleet.now >= self.awake_at else 0.0


def test_who_is_alone_has_all_of_it_soon() -> None:
    fleet = Fleet()
    worker = Worker(fleet, random.Random(0))
    worker.work()
    assert worker.share == 0, "others may not know of it"
    while not worker.share:
        fleet.tick()
        worker.work()
        assert fleet.now < 2
    assert worker.share == 1


@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "dies"])
def test_a_share_that_is_left_is_soon_the_others(leaves: bool) -> None:
    fleet, chance = Fleet(), random.Random(1)
    workers = [Worker(fleet, chance) for _ in range(4)]
    run(fleet, workers, 15)
    assert [worker.share for worker in workers] == [1 / 4] * 4
    gone = workers.pop()
    # what it has written by then arrives
    run(fleet, workers, 2 * LOOK_SECONDS)
    if leaves:
        del fleet.table[gone.name]
    left = fleet.now
    while sum(worker.share for worker in workers) < 0.999:
        run(fleet, workers, TICK)
    assert fleet.now - left < (3 if leaves else DEAD_SECONDS + 3) < 15
    run(fleet, workers, 2 * LOOK_SECONDS)
    assert all(gone.name not in worker.alive.living() for worker in workers)
    assert gone.name not in fleet.table


def test_one_that_comes_waits_until_the_others_know_of_it() -> None:
    fleet, chance = Fleet(), random.Random(2)
    workers = [Worker(fleet, chance) for _ in range(3)]
    run(fleet, workers, 12)
    new = Worker(fleet, chance)
    workers.append(new)
    while not new.share:
        run(fleet, workers, TICK)
        assert fleet.now < 24
    assert [worker.share for worker in workers] == [1 / 4] * 4


def test_one_that_was_frozen_knows_it_before_the_others_take_its_share() -> None:
    fleet, chance = Fleet(), random.Random(3)
    workers = [Worker(fleet, chance) for _ in range(2)]
    run(fleet, workers, 8)
    first, second = workers
    first.awake_at = fleet.now + 100
    while second.share < 1:
        run(fleet, workers, TICK)
        if fleet.now - 8 > LAPSED_SECONDS + LOOK_SECONDS:
            assert first.alive.share() == 0
    first.awake_at = fleet.now
    assert first.share == 0
    run(fleet, workers, 8)
    assert [worker.share for worker in workers] == [1 / 2] * 2


class Beats(defaultdict[str, dict[str, int]]):
    """The heartbeats of each kind of worker, which are there at once."""

    def __init__(self) -> None:
        super().__init__(dict)

    def beats(self, kind: str) -> dict[str, int]:
        return dict(self[kind])

    def beat(self, kind: str, worker: str, number: int) -> None:
        self[kind][worker] = number

    def leave(self, kind: str, *workers: str) -> None:
        for worker in workers:
            self[kind].pop(worker, None)


def test_who_looks_again_and_again_lives_among_those_of_its_kind() -> None:
    now, beats = [0.0], Beats()
    kinds = ("label", "label", "text")
    workers = [Alive(beats, kind, Stop(), lambda: now[0]) for kind in kinds]  # type: ignore[arg-type]
    for _ in range(20):
        now[0] += LOOK_SECONDS
        for worker in workers:
            worker.look()
    assert [worker.share() for worker in workers] == [1 / 2, 1 / 2, 1]
    dead = workers.pop(0)
    for _ in range(10):
        now[0] += LOOK_SECONDS
        for worker in workers:
            worker.look()
    assert [worker.share() for worker in workers] == [1, 1]
    assert {kind: {*there} for kind, there in beats.items()} == {
        "label": {workers[0].worker},
        "text": {workers[1].worker},
    }
    assert workers[0].is_dead(dead.worker)


def test_a_new_one_waits_for_the_next_heartbeat_but_one() -> None:
    """The next one may be of somebody who had looked before."""
    beats = Beats()
    first, new = (Alive(beats, "label", Stop(), lambda: 0.0) for _ in range(2))  # type: ignore[arg-type]
    for worker in (first, first, first, new, new, first, new):
        worker.look()
    assert new.share() == 0
    first.look()
    new.look()
    assert new.share() == 1 / 2


def test_one_that_has_come_since_the_last_look_is_not_dead() -> None:
    now, beats = [0.0], Beats()
    first, second = (Alive(beats, "label", Stop(), lambda: now[0]) for _ in range(2))  # type: ignore[arg-type]
    assert not first.is_dead(first.worker)
    first.look()
    second.look()
    assert second.worker not in first.living()
    assert not first.is_dead(second.worker)
    assert not first.is_dead(first.worker)
    assert first.is_dead("one that has left")
    first.look()
    now[0] = DEAD_SECONDS
    first.look()
    assert not first.is_dead(second.worker)
    now[0] += TICK
    first.look()
    assert first.is_dead(second.worker)
    second.look()
    assert first.is_dead(second.worker), "as long as it is not seen"


# these find a heartbeat too few, and a worker that lapses after it is dead
@example(seed=5)
@example(seed=50)
@example(seed=103)
@given(seed=st.integers(0, 10**9))
def test_no_history_of_a_fleet_ever_gives_out_more_than_the_quota(seed: int) -> None:
    fleet, chance = Fleet(), random.Random(seed)
    workers: list[Worker] = [Worker(fleet, chance, SLOW)]
    for _ in range(600):
        happens: Any = chance.random()
        if happens < 0.02:
            workers.append(Worker(fleet, chance, SLOW))
        elif happens < 0.03 and workers:
            workers.pop(chance.randrange(len(workers)))
        elif happens < 0.04 and workers:
            frozen = chance.choice(workers)
            frozen.awake_at = fleet.now + chance.uniform(0, 3 * DEAD_SECONDS)
        run(fleet, workers, TICK)
    # it ends with all of it in use
    for worker in workers:
        worker.awake_at, worker.slowest = 0, 0.5
    run(fleet, workers, 3 * DEAD_SECONDS)
    assert not workers or sum(worker.share for worker in workers) == pytest.approx(1)


def run(fleet: Fleet, workers: list[Worker], seconds: float) -> None:
    """Lets time pass; what is given out is looked at all the time."""
    for _ in range(round(seconds / TICK)):
        fleet.tick()
        for worker in workers:
            worker.work()
            assert sum(each.share for each in workers) <= 1.0001
