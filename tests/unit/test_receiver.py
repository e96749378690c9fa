"""How many requests for messages are under way at a time."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from workers.errors import PassingError
from workers.index_queue.queue import IndexQueue
from workers.index_queue.receiver import MOST_AT_ONCE, Receiver


class Counted:
    """A queue that brings batches of given sizes, and knows what it was asked, and at once."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = [*sizes]
        self.waits: list[int] = []
        self._lock = threading.Lock()

    def receive(self, most: int, seconds: int) -> list[Any]:
        with self._lock:
            self.waits.append(seconds)
            size = self.sizes.pop(0) if self.sizes else 0
        if size < 0:
            raise PassingError("it does not answer")
        return ["a message"] * min(size, most)


def receiver_of(queue: Counted) -> Receiver:
    return Receiver(cast("IndexQueue", queue), 5)


def brought(receiver: Receiver, queue: Counted, room: int = 1000) -> tuple[int, list[int]]:
    """How many messages come next, and the waits of the requests that brought them."""
    before = len(queue.waits)
    return len(receiver.receive(room)), queue.waits[before:]


def test_a_long_queue_is_asked_for_more_at_a_time_step_by_step() -> None:
    queue = Counted(*[10] * 100)
    receiver = receiver_of(queue)

    found = [brought(receiver, queue) for _ in range(5)]

    assert found == [(10, [5]), (20, [0] * 2), (30, [0] * 3), (40, [0] * 4), (40, [0] * 4)]
    assert MOST_AT_ONCE == 4


@pytest.mark.parametrize("less", [(10, 10, 9), (10, 10, 0), (10, 10, -1)])
def test_where_one_batch_is_not_full_one_request_waits_for_the_next(less: tuple[int, ...]) -> None:
    queue = Counted(*less, 3, 10)
    receiver = receiver_of(queue)

    receiver.receive(1000)
    receiver.receive(1000)

    assert brought(receiver, queue) == (3, [5])
    assert brought(receiver, queue) == (10, [5])


def test_never_more_than_there_is_room_for() -> None:
    queue = Counted(*[10] * 100)
    receiver = receiver_of(queue)

    assert [brought(receiver, queue, room)[0] for room in (100, 29, 10, 100, 39)] == [
        10,
        20,
        10,
        20,
        30,
    ]


def test_what_one_brought_is_not_lost_with_what_another_raises() -> None:
    queue = Counted(10, -1, 10)
    receiver = receiver_of(queue)
    receiver.receive(1000)

    assert brought(receiver, queue)[0] == 10


def test_where_none_brings_anything_it_is_said_why() -> None:
    queue = Counted(10, -1, -1, -1)
    receiver = receiver_of(queue)
    receiver.receive(1000)

    with pytest.raises(PassingError, match="does not answer"):
        receiver.receive(1000)
    with pytest.raises(PassingError, match="does not answer"):
        receiver.receive(1000)
