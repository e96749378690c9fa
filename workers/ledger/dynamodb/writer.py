"""Writes of all threads are gathered for a moment and share requests.

What is known of an image is written item by item, each on the condition that there is none yet: a
transaction would cost twice as much. So a process counts what it has written, and tells the others
a moment later; what it has not told when it dies, `Progress` finds by a look at the items.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from workers.ledger.dynamodb.items import Key, Values
from workers.ledger.dynamodb.table import MOST_STATEMENTS, Table

# a fuller request is a cheaper one; what the next worker waits for waits less for it
LINGER_SECONDS, LABELLED_LINGER_SECONDS = 0.2, 0.02
# others may know so late of what only this process writes; sooner, when it has nothing else to do
TELL_SECONDS, IDLE_SECONDS = 2.0, 0.2
MOST_BYTES = 3_000_000


@dataclass(slots=True, eq=False)
class Insert:
    """An item that is written unless there is one, and then `counts` for a tally.

    `future` is done in either case. It waits `linger` seconds at most for others.
    """

    key: Key
    values: Values
    tally: Key | None = None
    counts: Counter[str] = field(default_factory=Counter)
    linger: float = LINGER_SECONDS
    is_duplicate: bool = False
    future: Future[None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """About so many bytes."""
        return sum(len(str(part)) * 2 for part in (*self.key, *self.values.values()))


@dataclass(slots=True, eq=False)
class Action:
    """Something that is done in its turn, by itself; where it `tells`, after what is to be told."""

    do: Callable[[], object] = lambda: None
    tells: bool = False
    future: Future[None] = field(default_factory=Future)


class Group:
    """Inserts that share a request; no two of them are of the same item."""

    def __init__(self) -> None:
        self.inserts: dict[Key, Insert] = {}
        self.due = float("inf")
        self._size = 0

    def add(self, insert: Insert) -> bool:
        """Takes an insert, unless it must wait for the next group."""
        too_much = self._size + insert.size > MOST_BYTES
        if self.inserts and (too_much or insert.key in self.inserts):
            return False
        self.inserts[insert.key] = insert
        self._size += insert.size
        # one that is in a hurry takes those before it along
        self.due = min(self.due, time.monotonic() + insert.linger)
        return True

    @property
    def is_full(self) -> bool:
        return len(self.inserts) == MOST_STATEMENTS


class Told:
    """What only this process writes, and others may know of a moment later."""

    def __init__(self) -> None:
        self.items: dict[Key, Callable[[], Values | None]] = {}
        self.future: Future[None] = Future()
        self.due = float("inf")

    def add(self, key: Key, values: Callable[[], Values | None]) -> None:
        self.due = min(self.due, time.monotonic() + TELL_SECONDS)
        self.items[key] = values


class Writer:
    """The thread that writes to the table, in the order in which it was asked to."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.process = uuid.uuid4().hex[:12]
        """Its name in the table."""
        self.tally = f"tally/{self.process}"
        """And that of what it has counted of a run."""
        self._numbers = itertools.count()
        self._counted: defaultdict[Key, Counter[str]] = defaultdict(Counter)
        self._told = Told()
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Insert | Action | None] = queue.SimpleQueue()
        self._waiting: Insert | None = None
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    def insert(self, insert: Insert) -> Future[None]:
        """Has an item written; a failure goes into the future."""
        if insert.tally:
            # by this it knows its own again, where the answer to a first try was lost
            insert.values["by"] = f"{self.process}/{next(self._numbers)}"
        self._queue.put(insert)
        return insert.future

    def do(self, action: Callable[[], object]) -> Future[None]:
        """Has something done once all inserts that were asked for before are done."""
        return self._do(Action(action))

    def flush(self) -> Future[None]:
        """Done when all that was asked for before is, what is to be told included."""
        return self._do(Action(tells=True))

    def tell(self, key: Key, values: Callable[[], Values | None]) -> Future[None]:
        """Writes an item that only this process writes, a moment later; the last values count, and
        None leaves it as it is.
        """
        with self._lock:
            is_first = not self._told.items
            self._told.add(key, values)
            future = self._told.future
        if is_first:
            # the thread may be waiting for something to do
            self._queue.put(Action())
        return future

    def counted(self, tally: Key) -> Counter[str]:
        """What this process has added to a tally so far."""
        with self._lock:
            return self._counted[tally].copy()

    def close(self) -> None:
        """Writes what it was asked to, and ends."""
        self._queue.put(None)
        self._thread.join()

    def _do(self, action: Action) -> Future[None]:
        self._queue.put(action)
        return action.future

    def _write_all(self) -> None:
        action: Action | None = Action()
        while action:
            group, action = self._gather()
            futures = [each.future for each in group.inserts.values()]
            fulfil(futures, partial(self._write, group))
            if action is None or action.tells or time.monotonic() >= self._told.due:
                self._tell_all()
            if action:
                fulfil([action.future], action.do)

    def _gather(self) -> tuple[Group, Action | None]:
        """The inserts of a moment, and what is to be done behind them; None when it is closed."""
        group = Group()
        while True:
            due = min(group.due, self._told.due)
            if not group.inserts and self._told.items:
                due = min(due, time.monotonic() + IDLE_SECONDS)
            try:
                write = self._waiting or self._queue.get(timeout=_seconds_until(due))
            except queue.Empty:
                return group, Action(tells=not group.inserts)
            self._waiting = None
            if not isinstance(write, Insert):
                return group, write
            if not group.add(write):
                self._waiting = write
                return group, Action()
            if group.is_full:
                return group, Action()

    def _write(self, group: Group) -> None:
        if not group.inserts:
            return
        there = self._table.insert({key: each.values for key, each in group.inserts.items()})
        there -= self._own(there, group)
        for key in there:
            group.inserts[key].is_duplicate = True
            if "floor" in group.inserts[key].values:
                # an answer that says more than the one that is there
                self._table.transact([self._table.put(key, group.inserts[key].values, True)])
        with self._lock:
            for key, insert in group.inserts.items():
                if insert.tally and key not in there:
                    self._counted[insert.tally].update(insert.counts)
                    self._told.add(insert.tally, partial(self._tally, insert.tally))

    def _own(self, keys: set[Key], group: Group) -> set[Key]:
        """Those items that were written by a first try, whose answer was lost."""
        counted = [key for key in keys if group.inserts[key].tally]
        written = self._table.get_all(counted, "by")
        return {
            key
            for key, values in written.items()
            if values.get("by") == group.inserts[key].values["by"]
        }

    def _tally(self, tally: Key) -> Values:
        return dict(self.counted(tally))

    def _tell_all(self) -> None:
        with self._lock:
            told, self._told = self._told, Told()

        def put() -> None:
            for key, values in told.items.items():
                if found := values():
                    self._table.write(key, found)

        fulfil([told.future], put)


def fulfil(futures: list[Future[Any]], do: Callable[[], Any]) -> None:
    """Does it, and puts what has come of it into the futures."""
    try:
        given = do()
    except BaseException as error:
        # whatever it is: a future that is never done would hang its worker
        for future in futures:
            future.set_exception(error)
        return
    for future in futures:
        future.set_result(given)


def _seconds_until(due: float) -> float | None:
    return None if due == float("inf") else max(0.0, due - time.monotonic())
