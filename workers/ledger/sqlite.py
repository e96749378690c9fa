"""The ledger in one SQLite file, for a pair of workers with a disk each."""

from __future__ import annotations

import queue
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from workers.errors import RunError
from workers.model import (
    Decision,
    Label,
    LabelCounts,
    Result,
    RunProgress,
    ShardEnd,
    as_plain,
    dump,
    load,
    natural_key,
)
from workers.output.rows import ResultRow, result_row

# one transaction takes as many writes as this
CHUNK = 1000
# a commit waits so long for more to commit: each costs the threads at work a turn
GATHER_SECONDS = 0.01
# how long a worker waits for another one that writes the same file
BUSY_SECONDS = 30

_SQL = resources.files("workers.ledger")
SCHEMA = (_SQL / "schema.sql").read_text(encoding="utf-8")
_text = (_SQL / "queries.sql").read_text(encoding="utf-8")
_, *_parts = re.split(r"^-- (\w+) --$", _text, flags=re.MULTILINE)
QUERIES = dict(zip(_parts[::2], _parts[1::2], strict=True))

Row = dict[str, Any]
Write = tuple[str, list[Row], Future[None]]


class SqliteLedger:
    """The ledger in one SQLite file on the instance's own disk.

    Many threads write; one commits what has gathered, so that a flush to the disk is shared. Raises
    RunError when the file cannot be used; a write that fails puts that into its future.
    """

    shared = False
    refresh_seconds = 0.5

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = self._connect()
            self._reading = self._connect()
            self._writing.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        self._read_lock = threading.Lock()
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit_all, name="ledger", daemon=True)
        self._thread.start()

    # --- the label worker's side ---------------------------------------------------------------

    def settle_shards(self, run: str, shards: int) -> Future[None]:
        return self._write("settle_shards", {"run": run, "shards": shards})

    def shards(self, run: str) -> int | None:
        rows = self._read("shards", run=run)
        return rows[0][0] if rows else None

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        return set(indexes) - self._known("decided", run, indexes)

    def decide(self, decision: Decision) -> Future[None]:
        row = {
            "run": decision.run,
            "shard": decision.shard,
            "index": decision.index,
            "etag": decision.etag,
            "label": dump(decision.label) if decision.label else None,
            "failure": decision.failure,
        }
        return self._write("decide", row)

    def sent(self, decisions: list[Decision]) -> Future[None]:
        return self._write("sent", *({"run": d.run, "index": d.index} for d in decisions))

    def unsent(self, run: str, shard: int) -> Iterator[Decision]:
        return self._decisions("unsent", run, shard)

    def labelled(self, run: str, shard: int) -> Iterator[Decision]:
        return self._decisions("labelled", run, shard)

    def failures(self, run: str, shard: int) -> Iterator[Decision]:
        return self._decisions("failures", run, shard)

    def label_counts(self, run: str, shard: int) -> LabelCounts:
        rows = self._read("label_counts", run=run, shard=shard)
        return LabelCounts(*rows[0]) if rows else LabelCounts(0, 0, 0)

    def end_shard(self, end: ShardEnd) -> Future[None]:
        return self._write("end_shard", as_plain(end))

    def shard_ended(self, run: str, shard: int) -> ShardEnd | None:
        rows = self._read("shard_ended", run=run, shard=shard)
        return ShardEnd(*rows[0]) if rows else None

    def _decisions(self, name: str, run: str, shard: int) -> Iterator[Decision]:
        for index, etag, label, failure in self._stream(name, run=run, shard=shard):
            yield Decision(run, shard, index, etag, load(Label, label) if label else None, failure)

    # --- the text worker's side ----------------------------------------------------------------

    def not_done(self, run: str, indexes: list[str]) -> set[str]:
        return set(indexes) - self._known("done", run, indexes)

    def complete(self, result: Result) -> Future[None]:
        row, line = result_row(result)
        values = {
            "run": result.run,
            "index": result.filed,
            "sort_key": natural_key(result.index),
            "row": row,
            "line": line,
            "failed": result.failure is not None,
        }
        return self._write("complete", values)

    def record_end(self, end: ShardEnd) -> Future[None]:
        return self._write("record_end", as_plain(end))

    def record_foreign_end(self, run: str) -> Future[None]:
        return self._write("record_foreign_end", {"run": run})

    def progress(self, run: str) -> RunProgress:
        rows = self._read("progress", run=run)
        done, with_text, failed, foreign_end, by_hand, *_ = rows[0]
        ends = tuple(ShardEnd(run, *row[5:]) for row in rows if row[5] is not None)
        return RunProgress(done, with_text, failed, ends, bool(foreign_end), by_hand)

    def results(self, run: str) -> Iterator[ResultRow]:
        return map(ResultRow._make, self._stream("results", run=run))

    # --- the file ------------------------------------------------------------------------------

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._reading.close()
        self._writing.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # SQLite itself does not wait here for another worker that opens the same new file
        patiently = Retrying(
            retry=retry_if_exception(_is_busy),
            wait=wait_random(0.01, 0.05),
            stop=stop_after_delay(BUSY_SECONDS),
            reraise=True,
        )
        patiently(connection.execute, "PRAGMA journal_mode = WAL")
        # a commit that is not flushed is lost with the power, and what it paid for
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _read(self, name: str, **parameters: Any) -> list[Any]:
        try:
            with self._read_lock:
                return self._reading.execute(QUERIES[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _known(self, name: str, run: str, indexes: list[str]) -> set[str]:
        return {index for (index,) in self._read(name, run=run, indexes=dump(indexes))}

    def _stream(self, name: str, **parameters: Any) -> Iterator[Any]:
        # a connection of its own: it sees one state of the file however long it is read
        try:
            with closing(self._connect()) as connection:
                yield from connection.execute(QUERIES[name], parameters)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _write(self, name: str, *rows: Row) -> Future[None]:
        future: Future[None] = Future()
        self._queue.put((QUERIES[name], list(rows), future))
        return future

    def _commit_all(self) -> None:
        while (first := self._queue.get()) is not None:
            writes = [first]
            time.sleep(GATHER_SECONDS)
            while len(writes) < CHUNK and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                writes.append(following)
            self._commit(writes)

    def _commit(self, writes: list[Write]) -> None:
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            for statement, rows, _ in writes:
                self._writing.executemany(statement, rows)
            self._writing.execute("COMMIT")
        except Exception as error:
            # whatever it is: a future that is never done would hang its worker
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            for _, _, future in writes:
                future.set_exception(self._unusable(error))
        else:
            for _, _, future in writes:
                future.set_result(None)

    def _unusable(self, error: Exception) -> RunError:
        return RunError(
            f"the ledger {self._path} cannot be used ({error}); check the disk's free space and "
            "the folder's owner, then start again"
        )


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


class ReadOnlyLedger(SqliteLedger):
    """The same file, for a look beside a running worker; it waits for nobody and makes nothing."""

    def _connect(self) -> sqlite3.Connection:
        uri = self._path.absolute().as_uri() + "?mode=ro"
        try:
            return self._look(uri)
        except sqlite3.OperationalError:
            # somebody who may not write beside the file cannot lock it, nor need to: nobody does
            if self._path.with_name(self._path.name + "-wal").exists():
                raise
            return self._look(uri + "&immutable=1")

    def _look(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return connection
