"""What only the ledger in a SQLite file has: a disk, other processes, a look beside a worker."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import LINES, RUN, all_of, indexes_in, list_parts, result, wait
from workers.errors import RunError
from workers.ledger import SqliteLedger, sqlite_file
from workers.model import Decision, Label, Part, RunEnd

ROOT = Path(__file__).parents[2]
# https://www.sqlite.org/pragma.html#pragma_synchronous
FULL = 2


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """The connections to SQLite that are made from now on."""
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remember(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    return made


def test_what_is_acknowledged_is_flushed_to_the_disk(
    tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    """A killed process loses nothing in any case; a power cut does, what was not flushed."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    wait(ledger.complete([result("1.jpg")]))
    (writing,) = (one for one in connections if one.total_changes)
    assert writing.execute("PRAGMA synchronous").fetchone() == (FULL,)
    ledger.close()


def test_what_is_asked_for_meanwhile_shares_one_flush(
    tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    statements: list[str] = []
    for connection in connections:
        connection.set_trace_callback(statements.append)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = ledger.complete([result("first.jpg")])
        while "BEGIN IMMEDIATE" not in statements:
            time.sleep(0.01)
        # the first one waits for the other process, and all of these for the first one
        futures = [ledger.complete([result(f"{number}.jpg")]) for number in range(300)]
        other.execute("COMMIT")
    wait(first, *futures)
    assert statements.count("COMMIT") == 2
    ledger.close()


def test_parts_and_how_far_the_listing_is_with_them_are_kept_at_once(
    tmp_path: Path, connections: list[sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in between, it would list a part again that is in hand already."""
    monkeypatch.setattr(sqlite_file, "CHUNK", 1)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    statements: list[str] = []
    for connection in connections:
        connection.set_trace_callback(statements.append)
    list_parts(ledger, Part(1, "", "b", 1), Part(2, "b", "c", 1))
    assert statements.count("COMMIT") == 1
    with pytest.raises(RunError):
        list_parts(ledger, Part(3, "c", "d", 1), of=10**30)
    assert [part.number for part in ledger.open_parts(RUN)] == [1, 2]
    ledger.close()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for a hundred of SQLite's own steps, on whatever connection is made from now on."""

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = made(*arguments, **options)
        connection.set_progress_handler(lambda: found.append(None), 100)
        return connection

    found: list[None] = []
    made = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    return found


def test_a_few_among_many_decisions_are_found_without_going_through_all(
    tmp_path: Path, steps: list[None]
) -> None:
    """Asked for with every part, it would make a run cost the square of its images."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    wait(ledger.decide([Decision(RUN, 1, f"{number}.jpg") for number in range(5000)]))
    few = [
        Decision(RUN, 1, "car.jpg", labels=(Label("Car", 99.0),)),
        Decision(RUN, 1, "broken.jpg", failure="no image"),
    ]
    wait(ledger.decide(few))
    steps.clear()
    assert [decision.index for decision in ledger.unsent(RUN, all_of(1))] == ["car.jpg"]
    assert [decision.index for decision in ledger.failures(RUN)] == ["broken.jpg"]
    assert [*ledger.near(RUN)] == []
    # each decision takes some of SQLite's own steps
    assert len(steps) < 20
    ledger.close()


def test_results_of_many_that_were_asked_for_by_hand_are_read_in_one_pass(
    tmp_path: Path, steps: list[None]
) -> None:
    """As many as a label worker that is not ours finds; one that is counted, too, is there once."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    many = [result(f"{number}.jpg", by_hand=True) for number in range(1000)]
    wait(ledger.complete([*many, result("7.jpg")]))
    steps.clear()
    assert len(indexes_in(ledger, RUN)) == 1000
    assert len(steps) < 1000
    ledger.close()


WRITER = """
import sys
from pathlib import Path
from workers.ledger import SqliteLedger
from workers.model import Result
ledger = SqliteLedger(Path(sys.argv[1]))
numbers = range(*map(int, sys.argv[2:]))
futures = [ledger.complete([Result("monday", f"{number}.jpg")]) for number in numbers]
for future in futures:
    future.result()
print("written", flush=True)
sys.stdin.read()
"""


def writer(path: Path, first: int, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first), str(last)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_open_and_write_one_new_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.sqlite3"
    processes = [writer(path, 100 * n, 100 * n + 150) for n in range(3)]
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert [said for said, _ in outcomes] == ["written\n"] * 3, outcomes
    ledger = SqliteLedger(path)
    assert ledger.progress(RUN).done == len(list(ledger.results(RUN))) == 350
    ledger.close()


def test_a_new_file_can_be_opened_by_several_at_the_same_moment(tmp_path: Path) -> None:
    """A and B start together in one folder; SQLite's own wait does not cover the change to WAL."""
    for number in range(100):
        together = threading.Barrier(4)

        def open_one(
            path: Path = tmp_path / f"{number}.sqlite3", together: threading.Barrier = together
        ) -> None:
            together.wait(10)
            SqliteLedger(path).close()

        with ThreadPoolExecutor(4) as pool:
            for opened in [pool.submit(open_one) for _ in range(4)]:
                opened.result(60)


def test_another_that_writes_is_waited_for(
    tmp_path: Path, connections: list[sqlite3.Connection]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(SqliteLedger(path)), closing(SqliteLedger(path, read_only=True)):
        patience = {one.execute("PRAGMA busy_timeout").fetchone() for one in connections}
    assert (len(connections), patience) == (4, {(30_000,)})


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Error]:
    """With these the next statements are refused."""
    to_come: list[sqlite3.Error] = []

    class Refusing(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            if to_come:
                raise to_come.pop()
            return super().execute(*arguments)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Refusing))
    return to_come


def test_a_new_file_that_is_locked_is_waited_for(
    tmp_path: Path, refusals: list[sqlite3.Error]
) -> None:
    for _ in range(2):
        refusals.append(sqlite3.OperationalError("database is locked"))
        refusals[-1].sqlite_errorcode = sqlite3.SQLITE_BUSY
    SqliteLedger(tmp_path / "ledger.sqlite3").close()
    assert refusals == []


def test_what_no_wait_helps_against_is_told_at_once(
    tmp_path: Path, refusals: list[sqlite3.Error]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    refusals += [sqlite3.ProgrammingError("closed")] * 2
    with pytest.raises(RunError) as raised:
        SqliteLedger(path)
    assert_unusable(raised.value, path)
    assert len(refusals) == 1


def test_what_is_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    process = writer(path, 0, 500)
    assert process.stdout
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.communicate()
    ledger = SqliteLedger(path)
    assert ledger.progress(RUN).done == 500
    ledger.close()


def assert_unusable(error: BaseException, path: Path) -> None:
    assert isinstance(error, RunError)
    assert str(error).startswith(f"the ledger {path} cannot be used (")
    assert "check the disk's free space and the folder's owner" in str(error)
    assert len(str(error).splitlines()) == 1


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_text("no database at all, but a long enough text to be taken for one" * 20)
    with pytest.raises(RunError) as raised:
        SqliteLedger(path)
    assert_unusable(raised.value, path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "ledger.sqlite3"
    with pytest.raises(RunError) as raised:
        SqliteLedger(path)
    assert_unusable(raised.value, path)


def test_a_value_that_cannot_be_kept_is_an_error_and_the_ledger_goes_on(tmp_path: Path) -> None:
    """Else the thread that writes ends, and every worker waits for ever."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    for write in (
        lambda: ledger.complete([result("lone \ud800")]),
        lambda: ledger.record_end(RunEnd(RUN, 10**30)),
    ):
        with pytest.raises(RunError):
            write().result(10)
    ledger.complete([result("1.jpg")]).result(10)
    assert ledger.progress(RUN).done == 1
    ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "cartext-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_told_and_what_was_kept_stays(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    kept: set[str] = set()
    with pytest.raises(RunError) as raised:
        for number in range(5000):
            ledger.complete([result(f"{number}.jpg", LINES * 20)]).result(30)
            kept.add(f"{number}.jpg")
    assert_unusable(raised.value, path)
    assert "full" in str(raised.value)
    assert kept
    with pytest.raises(RunError):
        wait(*(ledger.complete([result(f"again-{n}.jpg", LINES * 20)]) for n in range(200)))
    ledger.close()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    ledger = SqliteLedger(path)
    assert ledger.not_done(RUN, sorted(kept)) == set()
    ledger.complete([result("afterwards.jpg")]).result(30)
    ledger.close()


def test_a_disk_that_turns_read_only_is_told(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite3"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError) as raised:
        SqliteLedger(path)
    assert_unusable(raised.value, path)


# --- a look beside a running worker --------------------------------------------------------------


def test_a_look_sees_what_is_kept_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    look = SqliteLedger(path, read_only=True)
    wait(ledger.complete([result("1.jpg")]))
    assert look.progress(RUN).done == 1
    assert indexes_in(look, RUN) == ["1.jpg"]
    with pytest.raises(RunError, match="readonly"):
        look.complete([result("2.jpg")]).result(10)
    look.close()
    ledger.close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_look_at_no_ledger_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(RunError) as raised:
        SqliteLedger(path, read_only=True)
    assert_unusable(raised.value, path)
    assert not path.exists()


def test_a_finished_ledger_can_be_read_where_nobody_may_write(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite3"
    ledger = SqliteLedger(path)
    wait(ledger.complete([result("1.jpg")]))
    ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    look = SqliteLedger(path, read_only=True)
    assert indexes_in(look, RUN) == ["1.jpg"]
    look.close()


def test_a_look_that_cannot_see_all_that_is_kept_is_refused(small_disk: Path) -> None:
    """Without the index of a killed worker's log, what stands in the log cannot be read."""
    path = small_disk / "ledger.sqlite3"
    SqliteLedger(path).close()
    process = writer(path, 0, 10)
    assert process.stdout
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.communicate()
    path.with_name(path.name + "-shm").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError) as raised:
        SqliteLedger(path, read_only=True)
    assert_unusable(raised.value, path)
