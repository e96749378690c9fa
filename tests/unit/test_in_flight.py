"""What B holds: duplicates join, the heartbeat beats for all of it, nothing is held for ever."""

from __future__ import annotations

import threading

import pytest

from workers.in_flight import InFlight
from workers.index_queue.messages import Received

TIMEOUT, LONGEST = 120, 600


class Queue:
    """Notes what is hidden, and for how long."""

    def __init__(self) -> None:
        self.hidden: list[tuple[list[str], int]] = []

    def hide(self, receipts: list[str], seconds: int) -> None:
        if receipts:
            self.hidden.append((receipts, seconds))


class World:
    """Images in flight by a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.queue = Queue()
        self.in_flight = InFlight(self.queue, TIMEOUT, LONGEST, lambda: self.now)

    def take(self, receipt: str, index: str = "1.jpg", run: str = "r"):
        return self.in_flight.take(Received(receipt, 1, run, index))

    def beat_for(self, seconds: float) -> None:
        """The heartbeat, as its ticker has it."""
        for _ in range(int(seconds / (TIMEOUT / 3))):
            self.now += TIMEOUT / 3
            self.in_flight.renew()


@pytest.fixture
def world() -> World:
    return World()


def test_a_duplicate_joins_what_is_in_flight(world: World) -> None:
    held = world.take("a")
    assert world.take("b") is None
    assert world.take("c", run="other")
    assert world.take("d", index="2.jpg")
    assert world.in_flight.leave(held) == ["a", "b"]
    assert world.take("e") is not None


def test_it_counts_what_is_in_flight(world: World) -> None:
    held = world.take("a")
    world.take("b", run="other")
    assert (len(world.in_flight), world.in_flight.of_run("r")) == (2, 1)
    world.in_flight.leave(held)
    assert (len(world.in_flight), world.in_flight.of_run("r")) == (1, 0)


def test_the_heartbeat_beats_on_for_every_receipt(world: World) -> None:
    world.take("a")
    world.take("b")
    world.beat_for(TIMEOUT)
    assert world.queue.hidden == [(["a", "b"], TIMEOUT)] * 3


def test_the_heartbeat_is_in_time_wherever_it_falls(world: World) -> None:
    """Between a receive or a renewal and the next one there is never the whole timeout."""
    for late in (0.01, TIMEOUT / 6, TIMEOUT / 3 - 0.01):
        world = World()
        world.now += late
        received, renewed = world.now, []
        world.take("a")
        world.now -= late
        for _ in range(9):
            world.now += TIMEOUT / 3
            world.in_flight.renew()
            if len(world.queue.hidden) > len(renewed):
                renewed.append(world.now)
        gaps = [b - a for a, b in zip([received, *renewed], renewed, strict=False)]
        assert max(gaps) <= TIMEOUT * 2 / 3


def test_what_was_just_received_is_not_renewed_yet(world: World) -> None:
    world.take("a")
    world.now += TIMEOUT / 3 - 1
    world.in_flight.renew()
    assert world.queue.hidden == []


def test_what_has_left_is_renewed_no_more(world: World) -> None:
    world.in_flight.leave(world.take("a"))
    world.beat_for(TIMEOUT)
    assert world.queue.hidden == []


def test_what_is_given_back_comes_again_after_its_delay(world: World) -> None:
    held = world.take("a")
    world.take("b")
    world.in_flight.give_back(held, 30)
    world.beat_for(TIMEOUT)
    assert world.queue.hidden == [(["a", "b"], 30)]


def test_a_renewal_under_way_does_not_overwrite_the_delay(world: World) -> None:
    begun, go, hide = threading.Event(), threading.Event(), world.queue.hide

    def slow(receipts: list[str], seconds: int) -> None:
        if seconds == TIMEOUT:
            begun.set()
            go.wait(10)
        hide(receipts, seconds)

    world.queue.hide = slow
    held = world.take("a")
    world.now += TIMEOUT
    heartbeat = threading.Thread(target=world.in_flight.renew)
    heartbeat.start()
    begun.wait(10)
    giving = threading.Thread(target=world.in_flight.give_back, args=[held, 30])
    giving.start()
    giving.join(0.1)
    go.set()
    heartbeat.join(10)
    giving.join(10)
    assert [seconds for _, seconds in world.queue.hidden] == [TIMEOUT, 30]


def test_what_was_let_go_is_not_given_back_any_more(world: World) -> None:
    """Its message may be in another worker's hands, who renews it."""
    held = world.take("a")
    world.beat_for(LONGEST + TIMEOUT)
    world.queue.hidden.clear()
    world.in_flight.give_back(held, 0)
    assert world.queue.hidden == []


def test_what_hangs_is_let_go_and_comes_again(world: World, said: list[dict[str, object]]) -> None:
    hanging = world.take("a")
    world.beat_for(LONGEST)
    assert said == []
    renewals = len(world.queue.hidden)
    world.beat_for(TIMEOUT)
    assert len(world.queue.hidden) == renewals
    (line,) = said
    assert (line["event"], line["run"], line["index"]) == ("let go", "r", "1.jpg")
    assert line["seconds"] == pytest.approx(LONGEST, abs=TIMEOUT)
    again = world.take("b")
    assert again is not None
    assert world.in_flight.leave(hanging) == ["a"]
    assert world.take("c") is None
    assert world.in_flight.leave(again) == ["b", "c"]
