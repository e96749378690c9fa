"""The ledger's file: who reads it, the one thread that writes it, and which version it has."""

from __future__ import annotations

import queue
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from workers.errors import RunError

# one transaction takes as many writes as this
CHUNK = 1000
# a commit waits so long for more to commit: each costs the threads at work a turn
GATHER_SECONDS = 0.01
# how long a worker waits for another one that writes the same file
BUSY_SECONDS = 30

_SQL = resources.files("workers.ledger")
VERSION = 3
SCHEMA = (_SQL / "schema.sql").read_text(encoding="utf-8")
# by the version that they lead on from
TAKE_ALONG = {
    version: (_SQL / f"from_{version}.sql").read_text(encoding="utf-8")
    for version in range(1, VERSION)
}
_text = (_SQL / "queries.sql").read_text(encoding="utf-8")
_, *_parts = re.split(r"^-- (\w+) --$", _text, flags=re.MULTILINE)
QUERIES = dict(zip(_parts[::2], _parts[1::2], strict=True))

Row = dict[str, Any]
Write = tuple[dict[str, list[Row]], Future[Any], Any]


class VersionBeforeError(RunError):
    """A look at a ledger that a worker has to take along first."""


class SqliteFile:
    """One SQLite file on the instance's own disk.

    Many threads write; one commits what has gathered, so that a flush to the disk is shared. Raises
    RunError when the file cannot be used; a write that fails puts that into its future.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = self._connect()
            self._reading = self._connect()
            self._make_or_take_along()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        self._read_lock = threading.Lock()
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit_all, name="ledger", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is under way and lets go of everything."""
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

    def read(self, name: str, **parameters: Any) -> list[Any]:
        """All rows of a query."""
        try:
            with self._read_lock:
                return self._reading.execute(QUERIES[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def stream(self, name: str, **parameters: Any) -> Iterator[Any]:
        """The rows of a query, one by one."""
        # a connection of its own: it sees one state of the file however long it is read
        try:
            with closing(self._connect()) as connection:
                yield from connection.execute(QUERIES[name], parameters)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def write(self, name: str, *rows: Row, gives: Any = None) -> Future[Any]:
        """Has a statement done with each of the rows; durable when the future is done, and then it
        `gives` this.
        """
        return self.write_together({name: list(rows)}, gives)

    def write_together(self, rows: dict[str, list[Row]], gives: Any = None) -> Future[Any]:
        """Has several statements done, all or none."""
        future: Future[Any] = Future()
        self._queue.put(({QUERIES[name]: some for name, some in rows.items()}, future, gives))
        return future

    def forget(self, run: str) -> None:
        """Deletes whatever is kept of a run, all or nothing."""
        try:
            with closing(self._connect()) as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                for (table,) in connection.execute(QUERIES["tables_of_runs"]).fetchall():
                    connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608 - the schema's own
        except sqlite3.Error as error:
            raise self._unusable(error) from error

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
            for statements, *_ in writes:
                for statement, rows in statements.items():
                    self._writing.executemany(statement, rows)
            self._writing.execute("COMMIT")
        except Exception as error:
            # whatever it is: a future that is never done would hang its worker
            if self._writing.in_transaction:
                with suppress(sqlite3.Error):
                    self._writing.execute("ROLLBACK")
            for _, future, _ in writes:
                future.set_exception(self._unusable(error))
        else:
            for _, future, gives in writes:
                future.set_result(gives)

    def _unusable(self, error: Exception) -> RunError:
        return RunError(
            f"the ledger {self._path} cannot be used ({error}); check the disk's free space and "
            "the folder's owner, then start again"
        )

    def _make_or_take_along(self) -> None:
        """Makes the tables, or makes today's of those of the version before."""
        with self._writing:
            # not twice at once: another worker may open the same file
            self._writing.execute("BEGIN EXCLUSIVE")
            for version in range(self._version(self._writing) or VERSION, VERSION):
                _execute_all(self._writing, TAKE_ALONG[version])
            _execute_all(self._writing, SCHEMA)
            # at each start: this commit syncs what a worker that was killed had not, and what is
            # read of it from now on must not be lost with the power
            self._writing.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """The version of the ledger, 0 for none; RunError where it is a newer one."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise RunError(
                f"the ledger {self._path} is of version {version}, and this cartext knows up to "
                f"{VERSION}; install the newer cartext that made it"
            )
        # the first version did not say so
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'decision'")
        return version or len(tables.fetchall())


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _execute_all(connection: sqlite3.Connection, script: str) -> None:
    """Within the transaction that is open; `executescript` would commit it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


class ReadOnlyFile(SqliteFile):
    """The same file, for a look beside a running worker; it waits for nobody and makes nothing."""

    def _make_or_take_along(self) -> None:
        if 0 < self._version(self._reading) < VERSION:
            raise VersionBeforeError(
                f"the ledger {self._path} is of the version before; start a worker on it once, "
                "which takes it along"
            )

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
