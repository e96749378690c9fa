"""Some of the orders that `make orders` tries; and the faults that are found when put back."""

from __future__ import annotations

import threading
import time

import pytest

from tests.orders import hands
from tests.orders.every import AT_ANY_PACE, IN_TIME
from tests.orders.explorer import OrderError, Scenario, again, explore
from tests.orders.museum import FAULTS, Fault

# of each scenario: with slow threads there are more orders than it takes
MOST, OF_SLOW = 1800, 300
# the text worker's hands have so many, each of a thousand steps, that some by chance must do here:
# with any of four seeds the first 200 found the fault of the museum that takes longest
OF_HANDS = 300


EVERY = AT_ANY_PACE + IN_TIME


def is_of_hands(scenario: Scenario) -> bool:
    return scenario.__module__ == hands.__name__


@pytest.mark.parametrize("scenario", [each for each in EVERY if not is_of_hands(each)])
def test_it_holds_in_every_order(scenario: Scenario) -> None:
    assert explore(scenario, MOST).whole >= 1


@pytest.mark.parametrize("scenario", [each for each in EVERY if is_of_hands(each)])
def test_it_holds_in_orders_by_chance(scenario: Scenario) -> None:
    explore(scenario, 1, OF_HANDS)


@pytest.mark.parametrize("scenario", AT_ANY_PACE)
def test_it_holds_however_slow_a_thread_is(scenario: Scenario) -> None:
    explore(scenario, OF_SLOW, slow=True)


# --- what is broken is found ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.put_in(monkeypatch)
    as_above = (1, OF_HANDS) if is_of_hands(fault.scenario) else (MOST,)
    with pytest.raises(OrderError) as found:
        explore(fault.scenario, *as_above)
    assert fault.says in str(found.value)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_its_order_brings_it_about_again(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.put_in(monkeypatch)
    for _ in range(2):
        with pytest.raises(OrderError) as found:
            again(fault.scenario, fault.departures)
        assert fault.says in str(found.value)


# --- the scheduler itself -------------------------------------------------------------------------


def two(work: Scenario) -> None:
    threads = [threading.Thread(target=work, name=name) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_lost_update_is_found() -> None:
    def scenario() -> None:
        box = [0]

        def add() -> None:
            before = box[0]
            time.sleep(0)
            box[0] = before + 1

        two(add)
        assert box == [2]

    with pytest.raises(OrderError, match="assert box") as found:
        explore(scenario)
    assert found.value.departures == ["a: time.sleep(0) (1) -> b"]


def test_two_locks_in_two_orders_are_a_deadlock() -> None:
    def scenario() -> None:
        first, second = threading.Lock(), threading.Lock()
        pairs = [(first, second), (second, first)]

        def work() -> None:
            one, other = pairs.pop()
            with one, other:
                pass

        two(work)

    with pytest.raises(OrderError, match=r"nobody can go on\n(.*\n)*  b waits\n.*with one, other"):
        explore(scenario)


def test_a_thread_that_goes_round_for_ever_is_found() -> None:
    def scenario() -> None:
        while True:
            time.sleep(1)

    with pytest.raises(OrderError, match="it never ends"):
        explore(scenario)


def test_time_goes_on_only_when_nobody_else_does() -> None:
    def scenario() -> None:
        began = time.monotonic()
        two(lambda: time.sleep(3600))
        assert time.monotonic() == began + 3600

    explore(scenario)


def test_a_slow_thread_comes_after_a_deadline() -> None:
    def scenario() -> None:
        event = threading.Event()
        threading.Thread(target=event.set, name="setter").start()
        assert event.wait(60)

    explore(scenario)
    with pytest.raises(OrderError, match=r"assert event\.wait"):
        explore(scenario, slow=True)


def test_an_order_of_other_code_is_refused() -> None:
    with pytest.raises(LookupError, match=r"explore anew: .*nowhere"):
        again(lambda: time.sleep(1), ["main: nowhere (1) -> a"])


def test_all_orders_of_two_threads_are_tried() -> None:
    """Of two steps each there are three, and three more with the names exchanged."""
    seen = set()
    # whoever is first is a
    same = {"a": {}, "b": str.maketrans("ab", "ba")}

    def scenario() -> None:
        order: list[str] = []

        def work() -> None:
            name = names.pop()
            for _ in range(2):
                time.sleep(0)
                order.append(name)

        names = ["b", "a"]
        two(work)
        seen.add("".join(order).translate(same[order[0]]))

    explore(scenario)
    assert seen == {"aabb", "abab", "abba"}
