"""The ledger in one SQLite file, for a pair of workers with a disk each."""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from workers.errors import RunError
from workers.ledger_json import dump_label, load_label
from workers.records import (
    LabelCounts,
    LabelDecision,
    RunProgress,
    ShardEnd,
    TextResult,
    natural_key,
)
from workers.rows import ResultRow, result_row

# one look-up or transaction takes as many as this
CHUNK = 1000
# a commit waits so long for more to commit: each costs the threads at work a turn
GATHER_SECONDS = 0.01
# how long a worker waits for another one that writes the same file
BUSY_SECONDS = 30

SCHEMA = """
CREATE TABLE IF NOT EXISTS run_shards (run TEXT PRIMARY KEY, shards INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decision (
  run TEXT, shard INTEGER, idx TEXT, etag TEXT, label TEXT, failure TEXT, sent INTEGER,
  PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsent ON decision (run, shard) WHERE label IS NOT NULL AND sent = 0;
CREATE INDEX IF NOT EXISTS failed ON decision (run, shard) WHERE failure IS NOT NULL;
CREATE TABLE IF NOT EXISTS ended_shard (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS result (
  run TEXT, idx TEXT, sort_key TEXT, row TEXT, line TEXT, failed INTEGER,
  PRIMARY KEY (run, idx)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS in_order ON result (run, sort_key);
CREATE TABLE IF NOT EXISTS received_end (
  run TEXT, shard INTEGER, shards INTEGER, expected INTEGER, PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS foreign_end (run TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS label_tally (
  run TEXT, shard INTEGER, decided INTEGER, labelled INTEGER, failed INTEGER,
  PRIMARY KEY (run, shard)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_decision AFTER INSERT ON decision BEGIN
  INSERT OR IGNORE INTO label_tally VALUES (NEW.run, NEW.shard, 0, 0, 0);
  UPDATE label_tally SET decided = decided + 1, labelled = labelled + (NEW.label IS NOT NULL),
    failed = failed + (NEW.failure IS NOT NULL) WHERE run = NEW.run AND shard = NEW.shard;
END;
CREATE TABLE IF NOT EXISTS text_tally (
  run TEXT PRIMARY KEY, done INTEGER, with_text INTEGER, failed INTEGER
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS tally_result AFTER INSERT ON result BEGIN
  INSERT OR IGNORE INTO text_tally VALUES (NEW.run, 0, 0, 0);
  UPDATE text_tally SET done = done + 1, with_text = with_text + (NEW.line IS NOT NULL),
    failed = failed + NEW.failed WHERE run = NEW.run;
END;
"""

PROGRESS = """
SELECT coalesce(done, 0), coalesce(with_text, 0), coalesce(failed, 0), coalesce(sum(expected), 0),
  count(expected) AND count(expected) >= max(shards),
  EXISTS (SELECT 1 FROM foreign_end WHERE foreign_end.run = asked.run)
FROM (SELECT ? AS run) AS asked LEFT JOIN text_tally USING (run) LEFT JOIN received_end USING (run)
"""

Statement = tuple[str, list[tuple[Any, ...]]]


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
        self._queue: queue.SimpleQueue[tuple[Statement, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit_all, name="ledger", daemon=True)
        self._thread.start()

    def settle_shards(self, run: str, shards: int) -> Future[None]:
        return self._write("INSERT OR IGNORE INTO run_shards VALUES (?, ?)", [(run, shards)])

    def shards(self, run: str) -> int | None:
        rows = self._read("SELECT shards FROM run_shards WHERE run = ?", (run,))
        return rows[0][0] if rows else None

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        return self._missing("decision", run, indexes)

    def decide(self, decision: LabelDecision) -> Future[None]:
        row = (
            decision.run,
            decision.shard,
            decision.index,
            decision.etag,
            dump_label(decision.label),
            decision.failure,
        )
        return self._write("INSERT OR IGNORE INTO decision VALUES (?, ?, ?, ?, ?, ?, 0)", [row])

    def sent(self, decisions: list[LabelDecision]) -> Future[None]:
        rows = [(decision.run, decision.index) for decision in decisions]
        return self._write("UPDATE decision SET sent = 1 WHERE run = ? AND idx = ?", rows)

    def unsent(self, run: str, shard: int) -> Iterator[LabelDecision]:
        return self._decisions("label IS NOT NULL AND sent = 0", run, shard)

    def failures(self, run: str, shard: int) -> Iterator[LabelDecision]:
        return self._decisions("failure IS NOT NULL", run, shard)

    def label_counts(self, run: str, shard: int) -> LabelCounts:
        rows = self._read(
            "SELECT decided, labelled, failed FROM label_tally WHERE run = ? AND shard = ?",
            (run, shard),
        )
        return LabelCounts(*rows[0]) if rows else LabelCounts(0, 0, 0)

    def end_shard(self, end: ShardEnd) -> Future[None]:
        row = (end.run, end.shard, end.shards, end.expected)
        return self._write("INSERT OR REPLACE INTO ended_shard VALUES (?, ?, ?, ?)", [row])

    def shard_ended(self, run: str, shard: int) -> ShardEnd | None:
        rows = self._read(
            "SELECT run, shard, shards, expected FROM ended_shard WHERE run = ? AND shard = ?",
            (run, shard),
        )
        return ShardEnd(*rows[0]) if rows else None

    def not_done(self, run: str, indexes: list[str]) -> set[str]:
        return self._missing("result", run, indexes)

    def complete(self, result: TextResult) -> Future[None]:
        row = (
            result.run,
            result.index,
            natural_key(result.index),
            *result_row(result),
            result.failure is not None,
        )
        return self._write("INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?, ?, ?)", [row])

    def record_end(self, end: ShardEnd) -> Future[None]:
        row = (end.run, end.shard, end.shards, end.expected)
        return self._write("INSERT OR REPLACE INTO received_end VALUES (?, ?, ?, ?)", [row])

    def record_foreign_end(self, run: str) -> Future[None]:
        return self._write("INSERT OR IGNORE INTO foreign_end VALUES (?)", [(run,)])

    def progress(self, run: str) -> RunProgress:
        ((done, with_text, failed, expected, all_ended, foreign_end),) = self._read(
            PROGRESS, (run,)
        )
        return RunProgress(done, with_text, failed, expected, bool(all_ended), bool(foreign_end))

    def results(self, run: str) -> Iterator[ResultRow]:
        rows = self._stream(
            "SELECT row, line FROM result WHERE run = ? ORDER BY sort_key, idx", (run,)
        )
        return map(ResultRow._make, rows)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._reading.close()
        self._writing.close()

    def _decisions(self, condition: str, run: str, shard: int) -> Iterator[LabelDecision]:
        rows = self._stream(
            "SELECT idx, etag, label, failure FROM decision"  # noqa: S608 - our own words
            f" WHERE run = ? AND shard = ? AND {condition} ORDER BY idx",
            (run, shard),
        )
        for index, etag, label, failure in rows:
            yield LabelDecision(run, shard, index, etag, load_label(label), failure)

    def _missing(self, table: str, run: str, indexes: list[str]) -> set[str]:
        known = self._read(
            f"SELECT idx FROM {table} WHERE run = ?"  # noqa: S608 - our own words
            " AND idx IN (SELECT value FROM json_each(?))",
            (run, json.dumps(indexes)),
        )
        return set(indexes) - {index for (index,) in known}

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
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        try:
            with self._read_lock:
                return self._reading.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _stream(self, query: str, parameters: tuple[Any, ...]) -> Iterator[Any]:
        # a connection of its own: it sees one state of the file however long it is read
        try:
            with closing(self._connect()) as connection:
                yield from connection.execute(query, parameters)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> Future[None]:
        future: Future[None] = Future()
        self._queue.put(((statement, rows), future))
        return future

    def _commit_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            time.sleep(GATHER_SECONDS)
            while len(batch) < CHUNK and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            self._commit(batch)

    def _commit(self, batch: list[tuple[Statement, Future[None]]]) -> None:
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            for (statement, rows), _ in batch:
                self._writing.executemany(statement, rows)
            self._writing.execute("COMMIT")
        except Exception as error:
            # whatever it is: a future that is never done would hang its worker
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            for _, future in batch:
                future.set_exception(self._unusable(error))
        else:
            for _, future in batch:
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
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return connection
