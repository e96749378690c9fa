"""Which orders of threads are tried: all with few departures from the plain one, more by chance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.orders.parts import in_place
from tests.orders.scheduler import Run, Task

Scenario = Callable[[], object]
# at which step another one goes on than in the plain order: the how manieth of those that could
Steps = dict[int, int]

# departures: of all orders, and of those by chance
WHOLE, BY_CHANCE = 2, (2, 6)


class OrderError(AssertionError):
    """An order in which something goes wrong; `departures` brings it about again."""

    def __init__(self, problem: str, departures: list[str], runs: int) -> None:
        lines = "".join(f"\n    {each!r}," for each in departures)
        super().__init__(f"{problem}\n  in the order ({runs} were tried) [{lines}\n  ]")
        self.departures = departures


class Tried(NamedTuple):
    """How many orders; among them are all with up to `whole` departures."""

    runs: int
    whole: int


@dataclass
class _Attempt:
    """Chooses by step, and remembers how many could go on at each."""

    steps: Steps
    widths: list[int] = field(default_factory=list)

    def __call__(self, _: Run, candidates: list[Task]) -> int:
        chosen = self.steps.get(len(self.widths), 0) % len(candidates)
        self.widths.append(len(candidates))
        return chosen

    def one_more(self) -> Iterator[Steps]:
        """The orders with one departure more, which comes later than these."""
        for step in range(max(self.steps, default=-1) + 1, len(self.widths)):
            for choice in range(1, self.widths[step]):
                yield {**self.steps, step: choice}


class _Places(_Attempt):
    """Tells departures by place and name, and chooses by these: they outlive a change elsewhere."""

    def __init__(self, steps: Steps, places: Collection[str] = ()) -> None:
        super().__init__(steps)
        self._places = places
        self._passed: Counter[str] = Counter()
        self.told: list[str] = []

    def __call__(self, run: Run, candidates: list[Task]) -> int:
        place = run.place
        self._passed[place] += 1
        told = [f"{place} ({self._passed[place]}) -> {task.name}" for task in candidates]
        chosen = super().__call__(run, candidates)
        chosen = next((n for n, each in enumerate(told) if each in self._places), chosen)
        if chosen:
            self.told.append(told[chosen])
        return chosen


def explore(
    scenario: Scenario, most: int = 2500, by_chance: int = 100, slow: bool = False, seed: int = 0
) -> Tried:
    """Runs it in many orders; raises OrderError at the first that goes wrong.

    In all with one departure, and with two, as far as that takes `most` runs; then `by_chance`.
    """
    tried, reached = 0, 0

    def attempt(steps: Steps) -> _Attempt:
        nonlocal tried
        tried += 1
        made = _Attempt(steps)
        if Run(made, slow).of(scenario).problem:
            raise _told(scenario, _shortest(scenario, steps, slow), slow, tried)
        return made

    with in_place():
        plain = attempt({})
        level = [plain]
        while reached < WHOLE:
            ahead = [steps for made in level for steps in made.one_more()]
            if tried + len(ahead) > most:
                break
            level = [attempt(steps) for steps in ahead]
            reached += 1
        if attempt({}).widths != plain.widths:
            raise RuntimeError("the scenario is not the same each time; what does it depend on?")
        chance, points = random.Random(seed), range(len(plain.widths))
        for _ in range(by_chance):
            departures = chance.sample(points, min(chance.randint(*BY_CHANCE), len(points)))
            attempt({step: chance.randint(1, 3) for step in departures})
    return Tried(tried, reached)


def again(scenario: Scenario, departures: list[str], slow: bool = False) -> None:
    """Runs it in an order that was kept; raises OrderError if that goes wrong."""
    with in_place():
        places = _Places({}, departures)
        problem = Run(places, slow).of(scenario).problem
    if gone := [each for each in departures if each not in places.told]:
        raise LookupError(f"there is no such point any more, explore anew: {gone}")
    if problem:
        raise OrderError(problem, places.told, 1)


def _shortest(scenario: Scenario, steps: Steps, slow: bool) -> Steps:
    """Without the departures that it goes wrong without."""
    for step in list(steps):
        fewer = {each: choice for each, choice in steps.items() if each != step}
        if Run(_Attempt(fewer), slow).of(scenario).problem:
            steps = fewer
    return steps


def _told(scenario: Scenario, steps: Steps, slow: bool, tried: int) -> OrderError:
    places = _Places(steps)
    problem = Run(places, slow).of(scenario).problem
    return OrderError(problem, places.told, tried)
