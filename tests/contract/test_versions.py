"""Ledgers of the version before are taken along; those of a newer one are refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sandbox import ROOT, processes
from sandbox.aws.server import Sandbox
from tests.contract.conftest import CAR, RUN, decision, open_table, result, settings, wait
from workers.errors import RunError
from workers.ledger import Ledger, SqliteLedger, open_ledger, sqlite_file
from workers.ledger.dynamodb.items import partition_of
from workers.model import Decision, LabelCounts, Picture, RunEnd, dump

TABLES = Path(__file__).with_name("version_1.sql").read_text(encoding="utf-8")
END = ShardEnd(RUN, 1, 2, 3)
SENT = Decision(RUN, 0, "sent.jpg", Picture('"s"', 0), (CAR,))
UNSENT = Decision(RUN, 0, "unsent.jpg", Picture('"u"', 0), (CAR,))


# --- SQLite --------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that version 1 has left in the middle of a run of two shards."""
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TABLES)
        decisions = [
            (RUN, 0, "sent.jpg", '"s"', dump(CAR), None, 1),
            (RUN, 0, "unsent.jpg", '"u"', dump(CAR), None, 0),
            (RUN, 0, "none.jpg", '"n"', None, None, 0),
            (RUN, 0, "bad.gif", "", None, "wrong format", 0),
        ]
        results = [
            (RUN, "sent.jpg", "sent.jpg", '{"row":1}', "sent.jpg: AB 123", 0),
            (RUN, "gone.jpg", "gone.jpg", '{"row":2}', None, 1),
            (RUN, "\x01hand.jpg", "hand.jpg", '{"row":3}', None, 0),
        ]
        connection.execute("INSERT INTO run_shards VALUES (?, 2)", [RUN])
        connection.executemany("INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?)", decisions)
        connection.executemany("INSERT INTO result VALUES (?, ?, ?, ?, ?, ?)", results)
        for table in ("ended_shard", "received_end"):
            connection.execute(f"INSERT INTO {table} VALUES (?, 1, 2, 3)", [RUN])  # noqa: S608
        connection.execute("INSERT INTO foreign_end VALUES ('another')")
    return path


def goes_on(ledger: Ledger) -> None:
    """The run is where it was, and goes on."""
    assert ledger.settled(RUN) == {"shards": "2"}
    assert ledger.undecided(RUN, ["sent.jpg", "none.jpg", "bad.gif", "new.jpg"]) == {"new.jpg"}
    assert list(ledger.unsent(RUN, 0)) == [UNSENT]
    assert sorted(ledger.labelled(RUN, 0), key=str) == [SENT, UNSENT]
    assert [each.failure for each in ledger.failures(RUN, 0)] == ["wrong format"]
    assert ledger.label_counts(RUN, 0) == LabelCounts(4, 2, 1, 0)
    assert ledger.shard_ended(RUN, 1) == END
    progress = ledger.progress(RUN)
    assert (progress.done, progress.with_text, progress.failed) == (3, 1, 1)
    assert (progress.by_hand, progress.known, progress.ends) == (1, 0, (END,))
    assert ledger.not_done(RUN, ["sent.jpg", "gone.jpg", "new.jpg"]) == {"new.jpg"}
    known = decision("new.jpg", known=True, picture=Picture('"n"', 7))
    wait(ledger.settle(RUN, {"shards": "2", "label": "Car"}))
    wait(ledger.sent([UNSENT]), ledger.decide([known]), ledger.complete([result("new.jpg")]))
    assert list(ledger.unsent(RUN, 0)) == [known]
    assert ledger.label_counts(RUN, 0) == LabelCounts(5, 3, 1, 1)
    assert ledger.progress(RUN).done == 4
    assert len(list(ledger.results(RUN))) == 4
    assert ledger.settled(RUN) == {"shards": "2", "label": "Car"}


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_the_version_before_goes_on(file: Path) -> None:
    with closing(SqliteLedger(file)) as ledger:
        goes_on(ledger)
    assert version_of(file) == 2
    with closing(SqliteLedger(file)) as again, closing(SqliteLedger(file, read_only=True)) as look:
        assert again.label_counts(RUN, 0) == look.label_counts(RUN, 0) == LabelCounts(5, 3, 1, 1)
        assert again.progress("another").foreign_end


def test_it_has_the_tables_that_a_new_one_has(file: Path, tmp_path: Path) -> None:
    def made(path: Path) -> tuple[set[Any], dict[str, set[Any]]]:
        SqliteLedger(path).close()
        with closing(sqlite3.connect(path)) as connection:
            names = set(connection.execute("SELECT type, name, tbl_name FROM sqlite_master"))
            columns = {
                name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
                for kind, name, _ in names
                if kind == "table"
            }
        return names, columns

    assert made(file) == made(tmp_path / "new.sqlite3")


def test_one_that_cannot_be_taken_along_stays_as_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: whatever breaks off in between, the next start begins with what was there."""
    monkeypatch.setattr(sqlite_file, "SCHEMA", "INSERT INTO nowhere VALUES (1);")
    with pytest.raises(RunError, match="cannot be used"):
        SqliteLedger(file)
    monkeypatch.undo()
    assert version_of(file) == 0
    with closing(SqliteLedger(file)) as ledger:
        goes_on(ledger)


def test_a_look_takes_nothing_along(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(RunError, match=r"of the version before; start a worker on it once"):
        SqliteLedger(file, read_only=True)
    assert file.read_bytes() == before


def newer(path: Path) -> Path:
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    return path


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = newer(tmp_path / "ledger.sqlite3")
    before = path.read_bytes()
    words = f"the ledger {path} is of version 3, and this cartext knows up to 2; install the newer"
    for _ in range(2):
        with pytest.raises(RunError, match=words):
            SqliteLedger(path, read_only)
    assert path.read_bytes() == before
    assert version_of(path) == 3


@pytest.mark.parametrize("command", ["label", "text", "status", "doctor"])
def test_every_command_says_so(tmp_path: Path, moto: Sandbox, command: str) -> None:
    newer(tmp_path / "ledger.sqlite3")
    named = {"bucket": "photos", "queue_url": moto.create_queue("index"), "state_dir": tmp_path}
    done = subprocess.run(
        [sys.executable, "-m", "console", command],
        env=moto.environment(**processes.settings(**named)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is of version 3, and this cartext knows up to 2" in done.stdout + done.stderr
    assert done.returncode == 78


# --- DynamoDB ------------------------------------------------------------------------------------


# as they stand in a table of version 1
RESULTS_OF_1 = (
    (3, "sent.jpg\0addce50ba35817d5", "sent.jpg"),
    (2, "gone.jpg\x009b6171f2cfda0d90", "gone.jpg"),
    (3, "hand.jpg\x0063290c1b795170dc", "\x01hand.jpg"),
)


def put(client: Any, pk: str, sk: str, **values: Any) -> None:
    kinds = {str: "S", int: "N"}
    typed = {name: {kinds[type(value)]: str(value)} for name, value in values.items()}
    client.put_item(TableName="ledger", Item={"pk": {"S": pk}, "sk": {"S": sk}, **typed})


@pytest.fixture
def table(client: Any) -> Iterator[Any]:
    """The table with what version 1 has left of the same run."""
    put(client, f"{RUN}/run", "shards", shards=2)
    for index, etag in (("sent.jpg", '"s"'), ("unsent.jpg", '"u"')):
        pk = f"{RUN}/decided/{partition_of(index)}"
        put(client, pk, index, etag=etag, label=dump(CAR), shard=0)
    for index in ("none.jpg", "bad.gif"):
        put(client, f"{RUN}/decided/{partition_of(index)}", index)
    put(client, f"{RUN}/unsent/0", "unsent.jpg", etag='"u"', label=dump(CAR))
    put(client, f"{RUN}/failed/0", "bad.gif", etag="", failure="wrong format")
    put(client, f"{RUN}/label/0", "tally/0123456789ab", decided=4, labelled=2, failed=1)
    put(client, f"{RUN}/label/1", "end", shards=2, expected=3)
    put(client, f"{RUN}/text", "end/1", shards=2, expected=3)
    put(client, f"{RUN}/text", "tally/0123456789ab", done=3, with_text=1, failed=1, by_hand=1)
    for pk, sk, index in RESULTS_OF_1:
        put(client, f"{RUN}/result/{pk}", sk, index=index, row="{}")
    return client


def test_a_table_of_the_version_before_goes_on(table: Any) -> None:
    with closing(open_table(table)) as ledger:
        goes_on(ledger)


def test_a_newer_table_is_refused(table: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    named = settings(state_dir=tmp_path, ledger="dynamodb://ledger")
    with closing(open_ledger(named)) as ledger:
        wait(ledger.settle(RUN, {"label": "Car"}))
    open_ledger(named).close()
    put(table, "/ledger", "version", value=3)
    words = "the ledger in the table 'ledger' is of version 3, and this cartext knows up to 2"
    for read_only in (False, True):
        with pytest.raises(RunError, match=words):
            open_ledger(named, read_only=read_only)


def test_a_table_says_of_which_version_it_is(client: Any) -> None:
    """So that the version before the next one can refuse it."""
    with closing(open_table(client)) as ledger:
        wait(ledger.settle(RUN, {"label": "Car"}))
    key = {"pk": {"S": "/ledger"}, "sk": {"S": "version"}}
    assert client.get_item(TableName="ledger", Key=key)["Item"]["value"] == {"N": "2"}
