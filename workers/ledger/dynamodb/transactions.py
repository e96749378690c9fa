"""Writes of all threads are gathered for a moment and share transactions.

An image and its count are written in one transaction, on the condition that the image is new: the
sum of the tallies is the number of images, whatever is tried again, is a duplicate or breaks off.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from workers.ledger.dynamodb.items import Key, Values
from workers.ledger.dynamodb.table import Table

# a fuller transaction is a cheaper one; what the next worker waits for waits less for it
LINGER_SECONDS, LABELLED_LINGER_SECONDS = 0.2, 0.02
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MOST_ITEMS = 100
MOST_BYTES = 3_000_000


@dataclass(slots=True, eq=False)
class Write:
    """What is written whole, or not at all when it is a duplicate: when `new` is there already, or
    `old`, which it takes away, is not there any more.

    `counts` are added to the tally when it is written; `future` is done in either case. It waits
    `linger` seconds at most for others to share its transaction.
    """

    puts: dict[Key, Values] = field(default_factory=dict)
    deletes: set[Key] = field(default_factory=set)
    new: Key | None = None
    old: Key | None = None
    tally: Key | None = None
    counts: Counter[str] = field(default_factory=Counter)
    linger: float = LINGER_SECONDS
    is_duplicate: bool = False
    future: Future[None] = field(default_factory=Future)

    def condition(self, table: Table) -> Any:
        """The action that cannot be done when it is a duplicate."""
        if self.new:
            return table.put(self.new, self.puts[self.new], only_new=True)
        return table.delete(self.old, only_there=True) if self.old else None

    @property
    def keys(self) -> set[Key]:
        """Of every item that it touches."""
        return {*self.puts, *self.deletes, *filter(None, (self.old, self.tally))}

    @property
    def size(self) -> int:
        """About so many bytes."""
        return sum(
            len(str(part)) * 2
            for key, values in self.puts.items()
            for part in (*key, *values.values())
        )


class Group:
    """Writes that share a transaction; no two of them put or take away the same item."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._keys: set[Key] = set()
        self._size = 0

    def add(self, write: Write) -> bool:
        """Takes a write, unless it must wait for the next group."""
        keys, size = self._keys | write.keys, self._size + write.size
        too_much = len(keys) > MOST_ITEMS or size > MOST_BYTES
        if self.writes and (too_much or not self._keys.isdisjoint({*write.puts, write.old})):
            return False
        self.writes.append(write)
        self._keys, self._size = keys, size
        return True

    def counts(self) -> dict[Key, Counter[str]]:
        """What the writes add to each tally."""
        counts: defaultdict[Key, Counter[str]] = defaultdict(Counter)
        for write in self.writes:
            if write.tally:
                counts[write.tally].update(write.counts)
        return counts

    @property
    def conditional(self) -> list[Write]:
        """The writes that may turn out to be duplicates."""
        return [write for write in self.writes if write.new or write.old]

    def actions(self, table: Table) -> list[Any]:
        """What the transaction does; first comes what decides about `conditional`."""
        puts = {key: values for write in self.writes for key, values in write.puts.items()}
        deletes = {key for write in self.writes for key in write.deletes}
        new = {write.new for write in self.writes}
        # what is put and deleted in one transaction costs no write at all
        others = puts.keys() - deletes - new
        return [
            *(write.condition(table) for write in self.conditional),
            *(table.put(key, puts[key]) for key in others),
            *(table.delete(key) for key in deletes - puts.keys()),
            *(table.add(tally, counts) for tally, counts in self.counts().items()),
        ]


class Transactions:
    """The thread that commits, group by group, in the order in which it was asked to."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counted: defaultdict[Key, Counter[str]] = defaultdict(Counter)
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._waiting: Write | None = None
        self._thread = threading.Thread(target=self._commit_all, name="ledger", daemon=True)
        self._thread.start()

    def write(self, write: Write) -> Future[None]:
        """Has it written; a failure goes into the future."""
        self._queue.put(write)
        return write.future

    def counted(self, tally: Key) -> Counter[str]:
        """What this process has added to a tally so far."""
        with self._lock:
            return self._counted[tally].copy()

    def close(self) -> None:
        """Commits what it was asked to, and ends."""
        self._queue.put(None)
        self._thread.join()

    def _commit_all(self) -> None:
        while group := self._gather():
            self._commit(group)

    def _gather(self) -> Group | None:
        write = self._waiting or self._queue.get()
        self._waiting = None
        group = Group()
        due = float("inf")
        while write is not None and group.add(write):
            # one that is in a hurry takes those before it along
            due = min(due, time.monotonic() + write.linger)
            try:
                write = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                return group
        if write is None:
            self._queue.put(None)
        self._waiting = write
        return group if group.writes else None

    def _commit(self, group: Group) -> None:
        futures = [write.future for write in group.writes]
        try:
            self._transact(group)
        except BaseException as error:
            # whatever it is: a future that is never done would hang its worker
            for future in futures:
                future.set_exception(error)
            return
        with self._lock:
            for tally, counts in group.counts().items():
                self._counted[tally].update(counts)
        for future in futures:
            future.set_result(None)

    def _transact(self, group: Group) -> None:
        while actions := group.actions(self._table):
            conditional = group.conditional
            duplicates = self._table.transact(actions)
            if not duplicates:
                return
            for number in duplicates:
                conditional[number].is_duplicate = True
                group.writes.remove(conditional[number])
