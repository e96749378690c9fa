"""The states that a crash can leave, and what is wrong with a run that goes on from one."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from tests.crashes.disk import DROPPED, FOLDER, KEPT, TORN, Files, Loss, some
from tests.crashes.pair import PAIR, Plan, World, output_of, run
from tests.crashes.record import Event
from workers.label_worker import LabelWorker
from workers.text_worker import TextWorker

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
    """What is in the files of the output, by their names."""
    crashes: int = 1

    def __str__(self) -> str:
        return f"{self.plan.name}: {self.how}"


class Recorded(NamedTuple):
    """A plan's run without a crash, from what there was before it."""

    world: World
    events: list[Event]
    truth: dict[str, bytes]


def recorded(plan: Plan) -> Recorded:
    """Runs a plan once."""
    world = begun(plan)
    whole = run(plan, world.crashed(KEPT), NAME, at_once=plan.at_once)
    truth = {}
    for worker, kind in plan.workers.items():
        output = output_of(whole.files, worker, kind, NAME)
        truth |= {name: content for name, content in output.items() if content is not None}
    return Recorded(world, whole.events, truth)


def states(plan: Plan, losses: Losses = every_loss) -> Iterator[State]:
    """What a crash can leave at every point of a run, each state once."""
    world, events, truth = recorded(plan)
    seen = set()
    for point, event in enumerate([None, *events]):
        if event:
            world.happens(event)
        for loss in losses(point):
            crashed = world.crashed(loss)
            if (fingerprint := _fingerprint(crashed)) not in seen:
                seen.add(fingerprint)
                yield State(plan, f"after event {point}, {loss.name}", crashed, truth)


def cuts_after_kills(plan: Plan) -> Iterator[State]:
    """A text worker is killed before a sync; when the next one has deleted a message, the power
    goes. What was written before the kill must be synced by then.
    """
    world, events, truth = recorded(plan)
    for point, event in enumerate(events):
        if event.what == "sync" and event.of[0].startswith("text"):
            killed = world.crashed(KEPT)
            for on in run(plan, killed, NAME, order=point).events:
                killed.happens(on)
                if on.what == "delete":
                    break
            how = f"after event {point}, kept; then after the first delete, dropped"
            yield State(plan, how, killed.crashed(DROPPED), truth, crashes=2)
        world.happens(event)


def begun(plan: Plan) -> World:
    """What there is before the run."""
    empty = World.on(dict.fromkeys(plan.workers, FOLDER))
    return World.on(run(plan, empty, "before").files) if plan.is_known else empty


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
    """What is wrong with where a crash has left a run, or with its way on from there."""
    plan, world = state.plan, copy.deepcopy(state.world)
    found = [
        f"{worker} had ended, {problem}"
        for worker in world.ended
        for problem in _differences(state, world.files, worker)
    ]
    try:
        on = run(plan, world, NAME, order=0)
    except Exception as error:
        return [*found, f"{type(error).__name__}: {error}"]
    for worker in plan.workers:
        found += _differences(state, on.files, worker)
    there = {path.rpartition("/")[2] for path in on.files}
    found += [f"nobody has {name}" for name in state.truth if name not in there]
    for event in on.events:
        world.happens(event)
    for kind in PAIR.values():
        due, paid = plan.due[kind], world.paid[kind]
        if not 0 <= paid - due <= _most_again(state, world, kind):
            found.append(f"{paid} calls of the {kind.__name__} were paid for, {due} were due")
    return found


def _most_again(state: State, world: World, kind: type) -> int:
    """How many calls may be paid for once more: those in flight at each crash.

    And where there are several text workers, those that were sent once more: two of them may have
    the same image in hand.
    """
    at_work = sum(each is kind for each in state.plan.workers.values())
    copies = sum(times - 1 for times in world.sent.values() if times)
    in_flight = state.crashes * at_work * state.plan.in_flight
    return in_flight + copies if at_work > 1 and kind is TextWorker else in_flight


def _differences(state: State, files: Files, worker: str) -> Iterator[str]:
    kind = state.plan.workers[worker]
    for name, content in output_of(files, worker, kind, NAME).items():
        # who of a fleet comes when the end is sent writes no list of failures
        late = state.plan.is_fleet and kind is LabelWorker and content is None
        if content != state.truth[name] and not late:
            yield f"{name} of {worker} is {content!r}, not {state.truth[name]!r}"


def _fingerprint(world: World) -> int:
    messages = tuple(
        (each.body, repr(each.attributes)) for there in world.messages.values() for each in there
    )
    counts = (frozenset(world.paid.items()), frozenset(world.ended))
    return hash((frozenset(world.files.items()), messages, tuple(world.table), counts))
