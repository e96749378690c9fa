"""The pool: never more than there are slots, and nothing that is raised gets lost."""

from __future__ import annotations

import threading
import time

import pytest

from workers.errors import RunError, StoppedError
from workers.threads.pool import BoundedPool
from workers.threads.stop import Stop


def test_never_more_at_once_than_threads_and_never_more_inside_than_slots(stop: Stop) -> None:
    pool = BoundedPool(4, stop, backlog=3)
    lock = threading.Lock()
    now = most = most_held = done = 0

    def work() -> None:
        nonlocal now, most, done
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1
            done += 1

    for _ in range(60):
        assert pool.wait_for_room() >= 1
        pool.submit(work)
        most_held = max(most_held, pool.held)
    pool.wait_until_idle()
    assert (most, done, pool.held) == (4, 60, 0)
    assert most_held <= 7
    pool.close()


def test_room_is_what_is_free(stop: Stop) -> None:
    pool, go = BoundedPool(3, stop), threading.Event()
    assert pool.wait_for_room() == 3
    pool.submit(go.wait)
    assert pool.wait_for_room() == 2
    go.set()
    pool.wait_until_idle()
    assert pool.wait_for_room() == 3
    pool.close()


def test_there_is_no_room_when_the_worker_stops(stop: Stop) -> None:
    pool, go = BoundedPool(1, stop), threading.Event()
    pool.submit(go.wait)
    threading.Timer(0.05, stop.ask).start()
    assert pool.wait_for_room() == 0
    go.set()
    pool.close()


def test_an_error_stops_the_worker_and_frees_the_slot(stop: Stop) -> None:
    pool = BoundedPool(1, stop)

    def fail(text: str) -> None:
        raise RunError(text)

    pool.submit(fail, "no")
    pool.wait_until_idle()
    assert stop
    assert str(stop.error) == "no"
    assert pool.held == 0
    pool.close()


def test_the_first_error_is_the_one_that_is_told(stop: Stop) -> None:
    stop.fail(StoppedError())
    assert stop
    assert stop.error is None
    stop.fail(RunError("first"))
    stop.fail(RunError("second"))
    assert str(stop.error) == "first"


def test_close_waits_for_what_is_under_way(stop: Stop) -> None:
    pool, done = BoundedPool(2, stop), []
    for number in range(5):
        pool.submit(lambda n=number: (time.sleep(0.02), done.append(n)))
    pool.close()
    assert len(done) == 5


def test_a_change_wakes_who_waits(stop: Stop) -> None:
    pool = BoundedPool(1, stop)
    pool.submit(time.sleep, 0.05)
    began = time.monotonic()
    pool.wait_for_change(5)
    assert time.monotonic() - began < 2
    pool.close()


def test_what_is_submitted_when_the_threads_end_is_called_at_once(stop: Stop) -> None:
    """One that was at work hands on what waited for it."""
    pool, called = BoundedPool(1, stop), threading.Event()
    pool.close()
    pool.submit(called.set)
    assert called.is_set()
    assert pool.held == 0


def test_an_image_for_which_there_is_no_thread_is_worked_on_once(
    stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for one of those that are there; the worker hears of it."""
    pool, go, done = BoundedPool(2, stop), threading.Event(), []
    pool.submit(go.wait)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            pool.submit(done.append, 1)
    go.set()
    pool.wait_until_idle()
    assert (done, pool.held) == ([1], 0)
    pool.close()
