"""What threads do with each of the modules, and what must hold in whatever order they do it."""

from __future__ import annotations

import itertools
import queue
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.orders.scheduler import running
from workers import in_flight, single_flight
from workers.aws import quota
from workers.errors import START_AGAIN, RunError, StoppedError
from workers.index_queue import batcher
from workers.index_queue.messages import Received
from workers.ledger import sqlite_file
from workers.model import Picture
from workers.threads import pool, stop, ticker

TIMEOUT, LONGEST, DELAY = 120, 600, 30
LINGER = 0.05
QUOTA = 5.0
CAR = Picture("car", 1)


def together(*functions: Any) -> None:
    """Calls each in a thread of its own, and returns when all have returned."""
    names = map("thread {}".format, range(len(functions)))
    threads = [threading.Thread(target=each, name=next(names)) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def call_takes_its_time() -> None:
    """Others may go on while a call is under way."""
    time.sleep(0)


class HidingQueue:
    """Notes for how long each receipt was hidden last, and what is deleted."""

    def __init__(self) -> None:
        self.hidden: dict[str, int] = {}
        self.deleted: list[str] = []

    def hide(self, receipts: list[str], seconds: int) -> None:
        call_takes_its_time()
        self.hidden |= dict.fromkeys(receipts, seconds)
        call_takes_its_time()

    def delete(self, receipts: list[str]) -> None:
        call_takes_its_time()
        self.deleted += receipts

    def max_receives(self) -> None:
        return None


def message(receipt: str, index: str = "1.jpg", picture: Picture = CAR) -> Received:
    return Received(receipt, 1, "r", index, picture)


# --- in flight ------------------------------------------------------------------------------------


def a_heartbeat_while_an_image_is_given_back() -> None:
    """Its delay is the last word; all else that is held is renewed."""
    hiding = HidingQueue()
    held = in_flight.InFlight(hiding, TIMEOUT, LONGEST, time.monotonic)
    given, kept = held.take(message("a")), held.take(message("b", "2.jpg"))
    held.take(message("c"))
    time.sleep(TIMEOUT / 2)
    together(held.renew, lambda: held.give_back(given, DELAY))
    assert hiding.hidden == {"a": DELAY, "c": DELAY, "b": TIMEOUT}
    assert held.leave(kept) == ["b"]


def duplicates_that_come_at_any_time() -> None:
    """No image is at work twice at once, each is at work, and each receipt is somebody's."""
    held = in_flight.InFlight(HidingQueue(), TIMEOUT, LONGEST, time.monotonic)
    at_work: Counter[str] = Counter()
    left: list[str] = []
    done = set()

    def work(*messages: Received) -> None:
        for each in messages:
            if taken := held.take(each):
                at_work[each.index] += 1
                assert at_work[each.index] == 1, f"{each.index} is at work twice"
                call_takes_its_time()
                done.add(each.index)
                at_work[each.index] -= 1
                left.extend(held.leave(taken))

    together(lambda: work(message("a"), message("b", "2.jpg")), lambda: work(message("c")))
    assert (sorted(left), done, len(held)) == (["a", "b", "c"], {"1.jpg", "2.jpg"}, 0)


# --- batcher --------------------------------------------------------------------------------------


def batches_from_two_threads() -> None:
    """Nothing is lost or twice, and a flush returns only when all is handed on."""
    handed: list[list[int]] = []

    def hand_on(batch: list[int]) -> None:
        call_takes_its_time()
        handed.append(batch)

    batches = batcher.Batcher("sender", hand_on, LINGER, stop.Stop(), threads=2)

    def put(*items: int) -> None:
        for item in items:
            batches.put(item)
        batches.flush()
        assert set(items) <= {*itertools.chain(*handed)}, "a flush returned too early"

    together(lambda: put(1, 2), lambda: put(*range(3, 14)))
    assert sorted(itertools.chain(*handed)) == [*range(1, 14)]
    assert max(map(len, handed)) <= batcher.BATCH


def a_flush_at_any_time() -> None:
    """It returns when what is under way is handed on, and not before."""
    handed: list[int] = []

    def hand_on(batch: list[int]) -> None:
        call_takes_its_time()
        handed.extend(batch)

    batches = batcher.Batcher("sender", hand_on, LINGER, stop.Stop())
    batches.put(1)
    batches.flush()
    assert handed == [1]


def items_that_linger() -> None:
    """However big they are and whenever they come, they leave within the linger."""
    late = []

    def hand_on(batch: list[float]) -> None:
        late.extend(time.monotonic() - put for put in batch)

    batches = batcher.Batcher("sender", hand_on, LINGER, stop.Stop(), threads=2)

    def put(pauses: float, size: int) -> None:
        for _ in range(3):
            batches.put(time.monotonic(), size)
            time.sleep(pauses)

    together(lambda: put(0, 150_000), lambda: put(0.7 * LINGER, 10))
    time.sleep(2 * LINGER)
    assert len(late) == 6
    assert max(late) <= LINGER + batcher.GATHER_SECONDS


def a_batch_that_nobody_takes() -> None:
    """Nobody waits for it for ever, and the worker stops because of it."""
    stopping = stop.Stop()

    def refuse(_: list[int]) -> None:
        raise RunError("no queue")

    batches = batcher.Batcher("sender", refuse, LINGER, stopping)

    def put() -> None:
        with suppress(StoppedError):
            for item in range(3):
                batches.put(item)
        batches.flush()

    together(put, put)
    assert str(stopping.error) == "no queue"


# --- group commit ---------------------------------------------------------------------------------


@contextmanager
def ledger_file() -> Iterator[tuple[sqlite_file.SqliteFile, Callable[[], set[str]]]]:
    """A ledger, and what another connection sees in it; whether it is synced is asked elsewhere."""

    def hastily(file: sqlite_file.SqliteFile) -> sqlite3.Connection:
        connection = sqlite3.connect(file._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_file.SqliteFile, "_connect", hastily)
        path = Path(folder, "ledger")
        file = sqlite_file.SqliteFile(path)
        with closing(sqlite3.connect(path, check_same_thread=False)) as other:
            yield file, lambda: {name for (name,) in other.execute("SELECT name FROM settled")}


def commits_that_are_shared() -> None:
    """A future is done only when its rows are there for others; what is under way is kept."""
    with ledger_file() as (file, kept):

        def write(name: str) -> Future[Any]:
            return file.write("settle", {"run": "r", "name": name, "value": "1"})

        def work(*names: str) -> None:
            for name in names:
                write(name).result()
                assert name in kept(), "done before it was committed"

        together(lambda: work("a", "b"), lambda: work("c"))
        last = write("d")
        file.close()
        assert last.done()
        assert kept() == {"a", "b", "c", "d"}


def a_commit_that_fails() -> None:
    """Nobody waits for it for ever, and the next one may succeed."""
    with ledger_file() as (file, kept):

        def work() -> None:
            with pytest.raises(RunError):
                file.write("settle", {"run": "r"}).result()

        together(work, work)
        file.write("settle", {"run": "r", "name": "a", "value": "1"}).result()
        file.close()
        assert kept() == {"a"}


# --- quota ----------------------------------------------------------------------------------------


def calls_that_share_a_quota() -> None:
    """In no stretch of time are there more than the rate allows, and everybody has a turn."""
    made: list[float] = []
    held = quota.Quota(QUOTA, stop.Stop(), time.monotonic)

    def call(*pauses: float) -> None:
        for pause in pauses:
            held.wait()
            made.append(time.monotonic())
            time.sleep(pause)

    together(lambda: call(0, 3, 0), lambda: call(0, 0), held.throttled)
    assert len(made) == 5
    for first, last in itertools.combinations(range(5), 2):
        allowed = held.full_rate * (made[last] - made[first] + quota.CREDIT_SECONDS) + 1.001
        assert last - first + 1 <= allowed, f"too many between {made[first]} and {made[last]}"


def refusals_at_one_time() -> None:
    """They slow it once, not each of them."""
    held = quota.Quota(QUOTA, stop.Stop(), time.monotonic)
    together(held.throttled, held.throttled)
    assert held.rate == held.full_rate / 4


def a_stop_while_calls_wait() -> None:
    """All of them end, at once."""
    stopping = stop.Stop()
    held = quota.Quota(0.01, stopping, time.monotonic)
    held.wait()

    def wait() -> None:
        with pytest.raises(StoppedError):
            held.wait()

    began = time.monotonic()
    together(wait, wait, stopping.ask)
    assert time.monotonic() == began


# --- threads --------------------------------------------------------------------------------------


def images_in_a_pool() -> None:
    """Each is worked on once, never more than there is room for, and nobody sleeps too long."""
    images = pool.BoundedPool(2, stop.Stop(), backlog=1)
    done = []

    def work(image: int) -> None:
        time.sleep(1)
        done.append(image)
        if image == 3:
            images.submit(work, 5)

    began = time.monotonic()
    for image in range(5):
        assert images.wait_for_room() > 0
        images.submit(work, image)
        assert 0 < images.held <= 3
    images.wait_until_idle()
    assert (sorted(done), images.held) == ([*range(6)], 0)
    assert time.monotonic() == began + 3
    images.close()


def an_image_that_brings_another_while_the_pool_closes() -> None:
    """It is worked on, once, and the pool is empty."""
    images = pool.BoundedPool(2, stop.Stop())
    done = []

    def work(image: int) -> None:
        call_takes_its_time()
        done.append(image)

    def first() -> None:
        images.submit(work, 2)
        work(1)

    images.submit(first)
    images.close()
    assert (sorted(done), images.held) == ([1, 2], 0)


def an_image_that_fails() -> None:
    """It stops the worker, and neither its slot nor who waits for it is forgotten."""
    stopping = stop.Stop()
    images = pool.BoundedPool(1, stopping)

    def fail() -> None:
        raise RunError("no")

    images.submit(fail)
    room = images.wait_for_room()
    images.wait_until_idle()
    assert (room, images.held, str(stopping.error)) == (0, 0, "no")
    images.close()


def errors_at_one_time() -> None:
    """One of them is told, always the same, and whoever waits is woken."""
    stopping = stop.Stop()
    told = []

    def fail(name: str) -> None:
        stopping.fail(RunError(name))
        told.append(str(stopping.error))

    def wait() -> None:
        with pytest.raises(StoppedError):
            stopping.sleep(60)

    began = time.monotonic()
    together(lambda: fail("a"), lambda: fail("b"), wait)
    assert len({*told}) == 1
    assert time.monotonic() == began


class Signals:
    """The `signal` module of a process that gets signals at any time."""

    SIGTERM, SIGINT, SIG_BLOCK = signal.SIGTERM, signal.SIGINT, signal.SIG_BLOCK
    Signals = signal.Signals

    def __init__(self) -> None:
        self._blocked: set[int] = set()
        self._pending: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._handlers: dict[int, Any] = {}

    def signal(self, number: int, handler: Any) -> None:
        self._handlers[number] = handler

    def pthread_sigmask(self, _: int, numbers: set[int]) -> None:
        self._blocked |= numbers

    def sigwait(self, _: set[int]) -> int:
        return self._pending.get()

    def send(self, number: int) -> None:
        if number in self._blocked:
            self._pending.put(number)
        else:
            running().interrupt(lambda: self._handlers[number](number, None))


@contextmanager
def signalled() -> Iterator[tuple[stop.Stop, Signals, list[int]]]:
    """A stop that listens, how to send it signals, and with what it has ended the process."""
    signals, ended = Signals(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stop, "signal", signals)
        patch.setattr(stop, "os", SimpleNamespace(_exit=ended.append))
        stopping = stop.Stop()
        stopping.on_signals()
        yield stopping, signals, ended


def a_signal_at_any_time() -> None:
    """It ends every wait at once, wherever the main thread is."""
    with signalled() as (stopping, signals, ended):
        sender = threading.Thread(target=signals.send, args=[signal.SIGTERM], name="sender")
        began = time.monotonic()
        sender.start()
        with pytest.raises(StoppedError):
            stopping.sleep(60)
        stopping.fail(RunError("late"))
        sender.join()
        assert (ended, stopping.drained_by) == ([], began + stop.DRAIN_SECONDS)


def a_second_signal() -> None:
    """It ends the process, whether or not the first one has been heard of."""
    with signalled() as (stopping, signals, ended):
        together(lambda: [*map(signals.send, (signal.SIGTERM, signal.SIGINT))])
        time.sleep(1)
        assert stopping
        assert ended == [START_AGAIN]


def a_ticker_that_is_closed() -> None:
    """What is under way is waited for, and nothing comes after it."""
    ticks: list[str] = []

    def tick() -> None:
        ticks.append("begins")
        time.sleep(0.5)
        ticks.append("ends")

    ticking = ticker.Ticker("ticker", 1, tick, stop.Stop())
    time.sleep(1.2)
    ticking.close()
    before = [*ticks]
    time.sleep(5)
    assert ticks == before == ["begins", "ends"] * (len(ticks) // 2)


# --- single flight --------------------------------------------------------------------------------


def copies_of_one_picture() -> None:
    """One of them pays, and all have the answer; one that cannot leaves it to the next."""
    flight: single_flight.SingleFlight[str] = single_flight.SingleFlight()
    paid, answered, known = [], [], set()

    def look(*copies: str) -> None:
        for copy in copies:
            if not flight.join(CAR, copy):
                continue
            if not known and copy != "broken":
                paid.append(copy)
                call_takes_its_time()
                known.add(CAR)
            answered.append(copy)
            others = flight.land(CAR, copy)
            if known:
                answered.extend(others)
            else:
                look(*others)

    together(*(lambda copy=copy: look(copy) for copy in ("broken", "a", "b")))
    assert (len(paid), sorted(answered)) == (1, ["a", "b", "broken"])
