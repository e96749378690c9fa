"""Faults of threads that others had, or we: each put back, with an order that brings it about."""

from __future__ import annotations

import inspect
import linecache
from dataclasses import dataclass
from types import FunctionType, ModuleType

import pytest

from tests.orders import hands, scenarios
from tests.orders.explorer import Scenario
from workers import in_flight, reader, single_flight
from workers.aws import quota
from workers.index_queue import batcher
from workers.ledger import sqlite_file
from workers.threads import pool, stop, ticker


@dataclass(frozen=True)
class Fault:
    """A module in which each of the `changes` (before, after) is made; what `says` goes wrong."""

    name: str
    module: ModuleType
    changes: dict[str, str]
    scenario: Scenario
    says: str
    departures: tuple[str, ...] = ()

    def put_in(self, patch: pytest.MonkeyPatch) -> None:
        """Has the module's classes do it wrongly, whoever uses them."""
        source, file = inspect.getsource(self.module), f"{self.module.__file__} with {self.name}"
        for before, after in self.changes.items():
            assert source.count(before) == 1, f"the place of {self.name!r} has changed"
            source = source.replace(before, after)
        # the lines that an order names are then those of this source
        linecache.cache[file] = len(source), None, source.splitlines(), file
        names = vars(self.module)
        right = dict(names)
        exec(compile(source, file, "exec"), names)  # noqa: S102
        wrong = dict(names)
        names.update(right)
        for name, kind in right.items():
            if inspect.isclass(kind) and kind.__module__ == self.module.__name__:
                for each, value in vars(wrong[name]).items():
                    if isinstance(value, FunctionType | property):
                        patch.setattr(kind, each, value)


FAULTS = (
    Fault(
        "a late heartbeat overwrites the delay",
        in_flight,
        {
            """\
        with self._renewing:
            self._queue.hide(receipts, delay)
""": """\
        self._queue.hide(receipts, delay)
"""
        },
        scenarios.a_heartbeat_while_an_image_is_given_back,
        "assert hiding.hidden",
        ("thread 0: self._queue.hide(receipts, self._timeout) (1) -> thread 1",),
    ),
    Fault(
        "the heartbeat waits for itself",
        in_flight,
        {
            """\
        self._let_go_of_what_hangs()
        with self._renewing:
""": """\
        with self._renewing:
            self._let_go_of_what_hangs()
"""
        },
        hands.an_image_that_hangs_while_the_worker_stops,
        "nobody can go on",
    ),
    Fault(
        "a duplicate is looked for, and then the image taken",
        in_flight,
        {
            """\
        with self._lock:
            held = self._held.setdefault(new.key, new)
            held.receipts.append(message.receipt)
""": """\
        held = self._held.get(new.key)
        if held is None:
            held = self._held[new.key] = new
        held.receipts.append(message.receipt)
"""
        },
        scenarios.duplicates_that_come_at_any_time,
        "1.jpg is at work twice",
        (
            "thread 0: if held is None: (1) -> thread 1",
            "thread 1: time.sleep(0) (1) -> thread 0",
        ),
    ),
    Fault(
        "two images with one content are taken for duplicates",
        in_flight,
        {
            "self.message.run, self.message.filed": "self.message.run, self.message.picture.etag",
        },
        scenarios.duplicates_that_come_at_any_time,
        "assert (sorted(left), done",
        (
            "main: thread.start() (2) -> thread 1",
            "thread 1: return new if held is new else None (1) -> main",
        ),
    ),
    Fault(
        "a duplicate is taken after it was looked up whether it is done",
        reader,
        {
            """\
        taken = [held for held in map(self.in_flight.take, messages) if held]
        by_run: defaultdict[str, list[Received]] = defaultdict(list)
        for held in taken:
            by_run[held.message.run].append(held.message)
        not_done = {run: self._not_done(run, messages) for run, messages in by_run.items()}
""": """\
        by_run: defaultdict[str, list[Received]] = defaultdict(list)
        for message in messages:
            by_run[message.run].append(message)
        not_done = {run: self._not_done(run, some) for run, some in by_run.items()}
        taken = []
        taken += [held for held in map(self.in_flight.take, messages) if held]
"""
        },
        hands.images_with_copies_and_duplicates,
        "assert sorted(hands.ledger.done)",
        ("main: taken = [] (2) -> deleter",),
    ),
    Fault(
        "what is busy is counted down twice",
        pool,
        {
            """\
            self._run(work)

    def _run""": """\
            self._run(work)
            self._held -= 1

    def _run"""
        },
        scenarios.an_image_that_brings_another_while_the_pool_closes,
        "assert (sorted(done), images.held)",
    ),
    Fault(
        "who waits is told before",
        pool,
        {
            """\
        with self._changed:
            self._wanted = least
            while self._slots - self._held < least and not self._stop:
                self._changed.wait(0.2)
""": """\
        while self._slots - self._held < least and not self._stop:
            with self._changed:
                self._wanted = least
                self._changed.wait()
        with self._changed:
"""
        },
        scenarios.an_image_that_fails,
        "nobody can go on",
        ("main: with self._changed: (5) -> image_0",),
    ),
    Fault(
        "the second stop waits for the first one's lock",
        stop,
        {
            """\
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._hear, args=(signals,), name="signals", daemon=True).start()
""": """\
        for each in signals:
            signal.signal(each, self._hear)
""",
            "def _hear(self, signals: set[signal.Signals])": "def _hear(self, number, _)",
            """\
        while True:
            number = signal.sigwait(signals)
""": """\
        if True:
""",
        },
        scenarios.a_signal_at_any_time,
        "nobody can go on",
        ("main: if self.event.wait(seconds): (3) -> sender",),
    ),
    Fault(
        "the last error is told, not the first",
        stop,
        {
            """\
        with self._lock:
            if self.error""": """\
        if True:
            if self.error"""
        },
        scenarios.errors_at_one_time,
        "assert len({*told}) == 1",
        ("thread 0: self.error = error (1) -> thread 1",),
    ),
    Fault(
        "a call under way is not waited for",
        ticker,
        {
            """\
        self._closed.set()
        self._thread.join()
""": """\
        self._closed.set()
"""
        },
        scenarios.a_ticker_that_is_closed,
        "assert ticks == before",
    ),
    Fault(
        "a flush waits for the queue, not for what is handed on",
        batcher,
        {"while self._items.unfinished_tasks and": "while self._items.queue and"},
        scenarios.a_flush_at_any_time,
        "assert handed == [1]",
        ("main: self._flushing.set() (1) -> sender",),
    ),
    Fault(
        "what a batch has left over lingers anew",
        batcher,
        {"due = since + self._linger": "due = time.monotonic() + self._linger"},
        scenarios.items_that_linger,
        "assert max(late)",
    ),
    Fault(
        "a future is done before its commit",
        sqlite_file,
        {
            """\
            self._writing.execute("COMMIT")
""": """\
            for _, future, gives in writes:
                future.set_result(gives)
            self._writing.execute("COMMIT")
""",
            """\
        else:
            for _, future, gives in writes:
                future.set_result(gives)
""": "",
        },
        scenarios.commits_that_are_shared,
        "done before it was committed",
        ("ledger: for _, future, gives in writes: (2) -> thread 0",),
    ),
    Fault(
        "a close among writes is forgotten",
        sqlite_file,
        {
            """\
                    self._queue.put(None)
                    break
""": """\
                    break
"""
        },
        scenarios.commits_that_are_shared,
        "nobody can go on",
    ),
    Fault(
        "two callers get one turn",
        quota,
        {
            "with self._line:": "if True:",
            """\
            with self._lock:
                now = self._clock()
                gained""": """\
            if True:
                now = self._clock()
                gained""",
        },
        scenarios.calls_that_share_a_quota,
        "too many between",
        ("thread 0: self._next_call = turn + 1 / self._rate (1) -> thread 1",),
    ),
    Fault(
        "copies come at one time, and none of them leads",
        single_flight,
        {
            """\
        with self._lock:
            flight = self._flights[picture]
            flight.append""": """\
        if True:
            flight = self._flights[picture]
            flight.append"""
        },
        scenarios.copies_of_one_picture,
        "assert (len(paid)",
        ("thread 0: flight.append(item) (1) -> thread 1",),
    ),
)
