"""The states that a crash can leave, and what is wrong with a run that goes on from one."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from tests.crashes.disk import DROPPED, KEPT, TORN, Loss, some
from tests.crashes.pair import KINDS, OUTPUT, Plan, Run, World, output_of, run

NAME = "default"
Losses = Callable[[int], Iterable[Loss]]
"""How much of what is not synced is lost, at one point after another."""


def every_loss(point: int) -> list[Loss]:
    """All of it, none of it, the last writes by half, and whatever the point's number says."""
    return [KEPT, DROPPED, TORN, some(point)]


@dataclass(frozen=True)
class State:
    """What a crash has left of a plan's run, and what a run without one comes to."""

    plan: Plan
    how: str
    world: World
    truth: dict[str, bytes]
    due: Counter[str]
    """How many calls of each kind a run without a crash pays for."""
    crashes: int = 1

    def __str__(self) -> str:
        return f"{self.plan.name}: {self.how}"


def states(plan: Plan, losses: Losses = every_loss) -> Iterator[State]:
    """What a crash can leave at every point of a run, each state once."""
    world = _begun(plan)
    whole = run(plan, world.crashed(KEPT), NAME, at_once=plan.at_once)
    truth = output_of(whole.files, NAME)
    due = paid_in(whole)
    seen = set()
    for point, event in enumerate([None, *whole.events]):
        if event:
            world.happens(event)
        for loss in losses(point):
            crashed = world.crashed(loss)
            if (fingerprint := _fingerprint(crashed)) not in seen:
                seen.add(fingerprint)
                yield State(plan, f"after event {point}, {loss.name}", crashed, truth, due)


def crashed_again(state: State, seed: int) -> State:
    """A second crash, somewhere on the way on from the first one."""
    chance, world = random.Random(seed), copy.deepcopy(state.world)
    events = run(state.plan, world, NAME, order=seed).events
    point, loss = chance.randint(0, len(events)), chance.choice(every_loss(seed))
    for event in events[:point]:
        world.happens(event)
    how = f"{state.how}; then after event {point}, {loss.name}"
    return replace(state, how=how, world=world.crashed(loss), crashes=state.crashes + 1)


def wrong(state: State) -> list[str]:
    """What is wrong with where a crash has left the pair, or with its way on from there."""
    left, truth = output_of(state.world.files, NAME), state.truth
    found = [
        f"{path} was told to be whole, and is {left.get(path)!r}"
        for kind in state.world.ended
        for path in (f"{kind}/{NAME}/{file}" for file in OUTPUT[kind])
        if left.get(path) != truth[path]
    ]
    try:
        on = run(state.plan, state.world, NAME, order=0)
    except Exception as error:
        return [*found, f"{type(error).__name__}: {error}"]
    output = output_of(on.files, NAME)
    found += [
        f"{path} is {output.get(path)!r}, not {content!r}"
        for path, content in truth.items()
        if output.get(path) != content
    ]
    paid = state.world.paid + paid_in(on)
    for kind in KINDS:
        most = state.due[kind] + state.crashes * state.plan.in_flight
        if not state.due[kind] <= paid[kind] <= most:
            found.append(f"{paid[kind]} {kind} calls were paid for, {state.due[kind]} were due")
    return found


def paid_in(a_run: Run) -> Counter[str]:
    """How many calls of each kind a run has paid for."""
    return Counter(kind for what, kinds in a_run.events if what == "pay" for kind in kinds)


def _begun(plan: Plan) -> World:
    """What there is before the run."""
    if not plan.is_known:
        return World()
    return World.on(run(plan, World(), "before").files)


def _fingerprint(world: World) -> int:
    messages = tuple((each.body, repr(each.attributes)) for each in world.messages)
    counts = (frozenset(world.paid.items()), frozenset(world.ended))
    return hash((frozenset(world.files.items()), messages, counts))
