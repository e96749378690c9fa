"""Ledgers of the versions before are taken along; those of a newer one are refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import ROOT, processes
from sandbox.aws.server import Sandbox
from tests.contract.conftest import (
    CAR,
    RUN,
    all_of,
    decision,
    dies_untold,
    list_parts,
    open_table,
    result,
    settings,
    wait,
)
from workers.ending import Ending, ending
from workers.errors import RunError
from workers.ledger import Ledger, SqliteLedger, open_ledger, sqlite_file
from workers.ledger.dynamodb.items import VERSION, partition_of
from workers.model import (
    Decision,
    Label,
    LabelCounts,
    Labels,
    Listed,
    Part,
    Picture,
    RunEnd,
    dump,
)
from workers.settled import refuse_shards

BEFORE = [1, 2]
# by run, in how many shards, and with how many images those of them ended that did
ENDS: dict[str, tuple[int, dict[int, int]]] = {
    RUN: (1, {}),
    "single": (1, {0: 3}),
    "whole": (2, {0: 5, 1: 4}),
    "half": (2, {1: 4}),
    "wide": (6, {shard: shard for shard in range(6)}),
}


def left_by(version: int) -> list[Decision]:
    """What a version had decided of the run of one shard; all but the first are not sent yet."""
    decisions = [
        Decision(RUN, 0, "sent.jpg", Picture('"s"', 0), (CAR,)),
        Decision(RUN, 0, "unsent.jpg", Picture('"u"', 0), (CAR,)),
        Decision(RUN, 0, "none.jpg", Picture('"n"', 0)),
        Decision(RUN, 0, "bad.gif", failure="wrong format"),
    ]
    if version == 1:
        return decisions
    sent, unsent, none, bad = decisions
    return [
        replace(sent, picture=Picture('"s"', 7), labels=(CAR, Label("Truck", 91.5))),
        replace(unsent, known=True),
        replace(none, picture=Picture('"n"', 9), near=Label("Car", 87.5)),
        bad,
    ]


def goes_on(ledger: Ledger, version: int) -> None:
    """The run of one shard is where it was, and goes on."""
    left = left_by(version)
    sent, unsent, *_ = left
    known_before = sum(each.known for each in left)
    begun = {"shards": "1"} if version == 1 else {"shards": "1", "label": "Car"}
    assert ledger.settled(RUN) == begun
    refuse_shards(ledger, RUN)
    assert ledger.undecided(RUN, [*(each.index for each in left), "new.jpg"]) == {"new.jpg"}
    # of no part: it is sent before any part is begun
    assert list(ledger.unsent(RUN, all_of(0))) == [unsent]
    assert sorted(ledger.labelled(RUN), key=str) == [sent, unsent]
    assert list(ledger.near(RUN)) == [each for each in left if each.near]
    assert list(ledger.failures(RUN)) == left[-1:]
    assert ledger.label_counts(RUN) == LabelCounts(4, 2, 1, known_before, 0)
    assert ledger.run_end(RUN) is None
    assert ledger.listed(RUN) == Listed()
    assert list(ledger.open_parts(RUN)) == []
    progress = ledger.progress(RUN)
    assert (progress.done, progress.with_text, progress.failed) == (3, 1, 1)
    assert (progress.by_hand, progress.known, progress.expected) == (1, 0, None)
    assert ledger.not_done(RUN, ["sent.jpg", "gone.jpg", "new.jpg"]) == {"new.jpg"}
    known = decision("new.jpg", known=True, picture=Picture('"n"', 7))
    wait(ledger.settle(RUN, {"shards": "2", "prefix": "a/"}))
    assert ledger.settled(RUN) == {**begun, "prefix": "a/"}
    # it is listed from its first key, and what is decided is decided
    part = Part(1, "", "unsent.jpg", 5)
    list_parts(ledger, part)
    assert list(ledger.open_parts(RUN)) == [part]
    wait(ledger.sent([unsent]), ledger.decide([known]), ledger.complete([result("new.jpg")]))
    assert [*ledger.unsent(RUN, all_of(0)), *ledger.unsent(RUN, all_of(1))] == [known]
    wait(ledger.decide(left), ledger.sent([known]), ledger.end_part(RUN, 1))
    assert ledger.label_counts(RUN) == LabelCounts(5, 3, 1, known_before + 1, 1)
    assert sorted(each.index for each in ledger.labelled(RUN)) == [
        "new.jpg",
        "sent.jpg",
        "unsent.jpg",
    ]
    assert ledger.progress(RUN).done == 4
    assert len(list(ledger.results(RUN))) == 4
    wait(ledger.end_run(RunEnd(RUN, 3)), ledger.record_end(RunEnd(RUN, 3)))
    assert ledger.run_end(RUN) == RunEnd(RUN, 3)
    assert ending(ledger.progress(RUN)) is Ending.FINISHED


def has_ended(ledger: Ledger) -> None:
    """The ends of all shards are the run's; those of only some are none."""
    expected = {"single": 3, "whole": 9, "half": None, "wide": 15}
    for run, images in expected.items():
        assert ledger.run_end(run) == (None if images is None else RunEnd(run, images)), run
        assert ledger.progress(run).expected == images, run
    refuse_shards(ledger, "single")
    for run, (shards, _) in ENDS.items():
        if shards > 1:
            with pytest.raises(RunError, match=f"{run!r} was .* in {shards} shards.*CARTEXT_RUN"):
                refuse_shards(ledger, run)
    # what the shards have decided is still told
    counts = {run: ledger.label_counts(run) for run in ENDS if run != RUN}
    assert set(counts.values()) == {LabelCounts(2, 0, 2)}
    for run, (shards, _) in ENDS.items():
        if run != RUN:
            failures = [(each.index, each.part) for each in ledger.failures(run)]
            assert failures == [("a.gif", 0), (f"b-{shards - 1}.gif", 0)], run
    # an end that comes now is the last one
    wait(ledger.record_end(RunEnd("half", 6)), ledger.record_end(RunEnd("whole", 6)))
    assert [ledger.progress(run).expected for run in ("half", "whole")] == [6, 6]


# --- SQLite --------------------------------------------------------------------------------------


@pytest.fixture(params=BEFORE)
def version(request: pytest.FixtureRequest) -> int:
    """A version before this one."""
    return int(request.param)


def insert(connection: sqlite3.Connection, table: str, **values: object) -> None:
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - the tests' own
    connection.execute(statement, [*values.values()])


def decide(connection: sqlite3.Connection, version: int, shard: int, it: Decision) -> None:
    row: dict[str, object] = {"run": it.run, "shard": shard, "idx": it.index}
    row |= {"etag": it.picture.etag, "failure": it.failure, "sent": int(it.index == "sent.jpg")}
    if version == 1:
        row["label"] = dump(it.labels[0]) if it.labels else None
    else:
        row["labels"] = dump(it.labels, Labels) if it.labels else None
        row["near"] = dump(it.near) if it.near else None
        row |= {"size": it.picture.size, "known": it.known}
    insert(connection, "decision", **row)


@pytest.fixture
def file(tmp_path: Path, version: int) -> Path:
    """A file that a version before has left in the middle of a run, and others that have ended."""
    path = tmp_path / "ledger.sqlite3"
    tables = Path(__file__).with_name(f"version_{version}.sql").read_text(encoding="utf-8")
    results = [
        ("sent.jpg", "sent.jpg", '{"row":1}', "sent.jpg: AB 123", 0),
        ("gone.jpg", "gone.jpg", '{"row":2}', None, 1),
        ("\x01hand.jpg", "hand.jpg", '{"row":3}', None, 0),
    ]
    names = ("idx", "sort_key", "row", "line", "failed")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(tables)
        for each in left_by(version):
            decide(connection, version, 0, each)
        for values in results:
            known = {"known": 0} if version > 1 else {}
            row = dict(zip(names, values, strict=True))
            insert(connection, "result", run=RUN, **row, **known)
        for run, (shards, ends) in ENDS.items():
            if version == 1:
                insert(connection, "run_shards", run=run, shards=shards)
            else:
                insert(connection, "settled", run=run, name="shards", value=str(shards))
            for shard, expected in ends.items():
                end = {"run": run, "shard": shard, "shards": shards, "expected": expected}
                insert(connection, "ended_shard", **end)
                insert(connection, "received_end", **end)
            if run != RUN:
                for shard, index in ((0, "a.gif"), (shards - 1, f"b-{shards - 1}.gif")):
                    bad = Decision(run, 0, index, failure="wrong format")
                    decide(connection, version, shard, bad)
        insert(connection, "foreign_end", run="another")
        if version > 1:
            insert(connection, "settled", run=RUN, name="label", value="Car")
            answer = {"etag": '"s"', "size": 7, "kind": "labels", "floor": 55.0, "packed": b"said"}
            insert(connection, "answer", **answer)
            connection.execute(f"PRAGMA user_version = {version}")
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_a_version_before_goes_on(file: Path, version: int) -> None:
    with closing(SqliteLedger(file)) as ledger:
        goes_on(ledger, version)
    assert version_of(file) == 3
    with closing(SqliteLedger(file)) as again, closing(SqliteLedger(file, read_only=True)) as look:
        for each in (again, look):
            counts = each.label_counts(RUN)
            assert (counts.decided, counts.labelled, counts.failed, counts.parts) == (5, 3, 1, 1)
            assert each.progress("another").foreign_end
        said = [("labels", Picture('"s"', 7), b"said")] if version > 1 else []
        assert list(again.all_answers()) == said


def test_in_a_file_the_ends_of_all_shards_are_the_runs(file: Path) -> None:
    with closing(SqliteLedger(file)) as ledger:
        has_ended(ledger)


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
    file: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: whatever breaks off in between, the next start begins with what was there."""
    before = version_of(file)
    monkeypatch.setattr(sqlite_file, "SCHEMA", "INSERT INTO nowhere VALUES (1);")
    with pytest.raises(RunError, match="cannot be used"):
        SqliteLedger(file)
    monkeypatch.undo()
    assert version_of(file) == before
    with closing(SqliteLedger(file)) as ledger:
        goes_on(ledger, version)


def test_a_look_takes_nothing_along(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(RunError, match=r"of the version before; start a worker on it once"):
        SqliteLedger(file, read_only=True)
    assert file.read_bytes() == before


def newer(path: Path) -> Path:
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    return path


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path, read_only: bool) -> None:
    path = newer(tmp_path / "ledger.sqlite3")
    before = path.read_bytes()
    words = f"the ledger {path} is of version 4, and this cartext knows up to 3; install the newer"
    for _ in range(2):
        with pytest.raises(RunError, match=words):
            SqliteLedger(path, read_only)
    assert path.read_bytes() == before
    assert version_of(path) == 4


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
    assert "is of version 4, and this cartext knows up to 3" in done.stdout + done.stderr
    assert done.returncode == 78


# --- DynamoDB ------------------------------------------------------------------------------------


# as they stand in a table of version 1
RESULTS_OF_1 = (
    (3, "sent.jpg\0addce50ba35817d5", "sent.jpg"),
    (2, "gone.jpg\x009b6171f2cfda0d90", "gone.jpg"),
    (3, "hand.jpg\x0063290c1b795170dc", "\x01hand.jpg"),
)


NAMES_OF_3 = ["sent.jpg", "unsent.jpg", "none.jpg", "bad.gif", "new.jpg", "new.gif", "later.jpg"]


def put(client: Any, pk: str, sk: str, **values: Any) -> None:
    kinds = {str: "S", int: "N"}
    typed = {name: {kinds[type(value)]: str(value)} for name, value in values.items()}
    client.put_item(TableName="ledger", Item={"pk": {"S": pk}, "sk": {"S": sk}, **typed})


@pytest.fixture
def table(client: Any, version: int) -> Any:
    """The table with what a version before has left of the same runs."""
    for each in left_by(version):
        picture = {"etag": each.picture.etag}
        if version == 1:
            found = {"label": dump(each.labels[0])} if each.labels else {}
        else:
            picture |= {"size": each.picture.size}
            found = {"labels": dump(each.labels, Labels)} if each.labels else {}
            found |= {"near": dump(each.near)} if each.near else {}
            found |= {"known": 1} if each.known else {}
        whole = {**picture, **found, "shard": 0} if found else {}
        put(client, f"{RUN}/decided/{partition_of(each.index)}", each.index, **whole)
        if each.index == "unsent.jpg":
            put(client, f"{RUN}/unsent/0", each.index, **picture, **found)
        if each.failure:
            put(client, f"{RUN}/failed/0", each.index, **picture, failure=each.failure)
    for run, (shards, ends) in ENDS.items():
        put(client, f"{run}/run", "shards", **shards_as(version, shards))
        for shard, expected in ends.items():
            put(client, f"{run}/label/{shard}", "end", shards=shards, expected=expected)
            put(client, f"{run}/text", f"end/{shard}", shards=shards, expected=expected)
        if run != RUN:
            for n, (shard, index) in enumerate(((0, "a.gif"), (shards - 1, f"b-{shards - 1}.gif"))):
                put(client, f"{run}/decided/{partition_of(index)}", index)
                put(client, f"{run}/failed/{shard}", index, etag="", failure="wrong format")
                put(client, f"{run}/label/{shard}", f"tally/{n:012}", decided=1, failed=1)
    known = {"known": 1} if version > 1 else {}
    put(client, f"{RUN}/label/0", "tally/0123456789ab", decided=4, labelled=2, failed=1, **known)
    put(client, f"{RUN}/text", "tally/0123456789ab", done=3, with_text=1, failed=1, by_hand=1)
    for pk, sk, index in RESULTS_OF_1:
        put(client, f"{RUN}/result/{pk}", sk, index=index, row="{}")
    if version > 1:
        put(client, f"{RUN}/run", "label", value="Car")
        put(client, "/ledger", "version", value=version)
    return client


def shards_as(version: int, shards: int) -> dict[str, object]:
    """How a version kept the number of shards."""
    return {"shards": shards} if version == 1 else {"value": str(shards)}


def test_a_table_of_a_version_before_goes_on(table: Any, version: int) -> None:
    with closing(open_table(table)) as ledger:
        goes_on(ledger, version)


def test_in_a_table_the_ends_of_all_shards_are_the_runs(table: Any) -> None:
    with closing(open_table(table)) as ledger:
        has_ended(ledger)


def test_a_table_of_version_3_goes_on_in_the_middle_of_a_part(client: Any) -> None:
    """It had a list of what is to be sent, one of failures, and counted in the same write."""
    car = {"etag": '"c"', "size": 7, "labels": dump((CAR,), Labels), "part": 1}
    for index, whole in (("sent.jpg", car), ("unsent.jpg", car), ("none.jpg", {}), ("bad.gif", {})):
        put(client, f"{RUN}/decided/{partition_of(index)}", index, **whole)
    put(client, f"{RUN}/unsent/1", "unsent.jpg", **car)
    put(client, f"{RUN}/failed/2", "bad.gif", etag="", size=0, failure="wrong format")
    put(client, f"{RUN}/label", "tally/0123456789ab", decided=4, labelled=2, failed=1)
    put(client, "/ledger", "version", value=3)
    with closing(open_table(client)) as ledger:
        wait(ledger.decide([decision("new.jpg"), decision("new.gif", None, failure="too large")]))
        decided = [each for each in NAMES_OF_3 if each not in ledger.undecided(RUN, NAMES_OF_3)]
        assert decided == NAMES_OF_3[:-1]
        unsent = list(ledger.unsent(RUN, all_of(1), decided))
        assert sorted(each.index for each in unsent) == ["new.jpg", "unsent.jpg"]
        assert [each.index for each in ledger.failures(RUN)] == ["bad.gif", "new.gif"]
        wait(ledger.sent(unsent))
        assert list(ledger.unsent(RUN, all_of(1), decided)) == []
        for recount in (False, True):
            assert ledger.label_counts(RUN, recount) == LabelCounts(6, 3, 2)


@pytest.mark.parametrize("before", [1, 3])
def test_what_a_version_before_has_counted_is_counted_with_what_nobody_has_told(
    client: Any, before: int
) -> None:
    """Version 1 did not keep which images are labelled, versions 1 to 3 kept failures elsewhere."""
    car = {"etag": '"c"', "size": 7, "labels": dump((CAR,), Labels), "part": 1}
    for index, whole in (("sent.jpg", car), ("none.jpg", {}), ("bad.gif", {})):
        values = whole if before == 3 else {}
        put(client, f"{RUN}/decided/{partition_of(index)}", index, **values)
    where, failed = (f"{RUN}/label", 2) if before == 3 else (f"{RUN}/label/0", 0)
    put(client, f"{RUN}/failed/{failed}", "bad.gif", etag="", failure="wrong format")
    put(client, where, "tally/0123456789ab", decided=3, labelled=1, failed=1)
    put(client, f"{RUN}/run", "shards", shards=1)
    mine = [decision("new.jpg"), decision("no.jpg", None), decision("new.gif", None, failure="odd")]
    with closing(dies_untold(open_table(client))) as killed:
        wait(killed.decide(mine))
    with closing(open_table(client)) as ledger:
        wait(ledger.decide([decision("last.jpg")]))
        assert ledger.label_counts(RUN, recount=True) == LabelCounts(7, 3, 2)


def version_in(client: Any) -> dict[str, str] | None:
    key = {"pk": {"S": "/ledger"}, "sk": {"S": "version"}}
    item = client.get_item(TableName="ledger", Key=key).get("Item", {})
    found: dict[str, str] | None = item.get("value")
    return found


def test_a_table_of_a_version_before_is_taken_along_when_a_run_is_begun(
    table: Any, version: int, tmp_path: Path
) -> None:
    """From then on the version before refuses it, which knows of no parts."""
    named = settings(state_dir=tmp_path, ledger="dynamodb://ledger")
    with closing(open_ledger(named)) as ledger:
        assert ledger.label_counts(RUN).decided == 4
        assert version_in(table) == (None if version == 1 else {"N": "2"})
        wait(ledger.settle("tuesday", {"label": "Car"}))
    assert version_in(table) == {"N": "4"}
    open_ledger(named).close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_table_is_refused(client: Any, tmp_path: Path, read_only: bool) -> None:
    named = settings(state_dir=tmp_path, ledger="dynamodb://ledger")
    put(client, "/ledger", "version", value=VERSION)
    open_ledger(named, read_only=read_only).close()
    put(client, "/ledger", "version", value=VERSION + 1)
    words = "the ledger in the table 'ledger' is of version 5, and this cartext knows up to 4"
    with pytest.raises(RunError, match=words):
        open_ledger(named, read_only=read_only)
    assert version_in(client) == {"N": "5"}


def test_a_table_says_of_which_version_it_is(client: Any) -> None:
    """So that the version before the next one can refuse it."""
    with closing(open_table(client)) as ledger:
        wait(ledger.settle(RUN, {"label": "Car"}))
    assert version_in(client) == {"N": "4"}
