"""Some of the states that `make crashes` tries; and what would go wrong if a rule were broken."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from tests.crashes.disk import DROPPED, KEPT, TORN, Loss
from tests.crashes.pair import INDEX_QUEUE, PAIR, Plan, run
from tests.crashes.plans import PLANS
from tests.crashes.sqlite_vfs import IS_FOUND, TellingVfs
from tests.crashes.states import NAME, State, begun, crashed_again, cuts_after_kills, states, wrong
from tests.faults.broken import hasty
from workers.errors import OutageError
from workers.index_queue.sender import IndexSender
from workers.label_worker import LabelWorker
from workers.ledger.dynamodb.progress import Progress
from workers.ledger.dynamodb.writer import Group, Writer
from workers.ledger.sqlite_file import VERSION, SqliteFile
from workers.output import files
from workers.reader import Reader

pytestmark = pytest.mark.skipif(not IS_FOUND, reason="this Python hides its SQLite")
Patch = pytest.MonkeyPatch
ONE_AT_A_TIME, *_, FLEET = PLANS
# of each plan, here; the rest is `make crashes`
TRIED, TRIED_AGAIN = 16, 5
# a fleet waits until it takes its dead for dead
TRIED_OF_FLEET = 5


def some_of(plan_states: Iterator[State], number: int) -> list[State]:
    found = [*plan_states]
    return random.Random(0).sample(found, min(number, len(found)))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_after_a_crash_nothing_is_lost_and_nothing_done_twice(plan: Any) -> None:
    some_states = some_of(states(plan), TRIED_OF_FLEET if plan.is_fleet else TRIED)
    assert {str(state): found for state in some_states if (found := wrong(state))} == {}


def test_nor_after_another_one_on_the_way_on() -> None:
    once = some_of(states(PLANS[1]), TRIED_AGAIN)
    twice = [crashed_again(state, seed) for seed, state in enumerate(once)]
    assert {str(state): found for state in twice if (found := wrong(state))} == {}


def test_nor_when_the_power_goes_after_a_kill() -> None:
    some_states = some_of(cuts_after_kills(ONE_AT_A_TIME), TRIED_AGAIN)
    assert {str(state): found for state in some_states if (found := wrong(state))} == {}


def test_a_run_is_told_whole() -> None:
    """What is told of it makes the files that lie there, byte by byte."""
    world = begun(ONE_AT_A_TIME)
    done = run(ONE_AT_A_TIME, world.crashed(KEPT), NAME)
    for event in done.events:
        world.happens(event)
    assert world.crashed(KEPT).files == done.files
    assert (world.ended, world.messages[INDEX_QUEUE]) == ({*PAIR}, [])


# --- what is broken is found ----------------------------------------------------------------------


def first_wrong(*losses: Loss, plan: Plan = ONE_AT_A_TIME) -> str:
    """What is found first, looking from the end of the run."""
    found = [*states(plan, lambda _: losses)]
    step = max(1, len(found) // 40)
    return next((str(problems) for s in found[::-step] if (problems := wrong(s))), "")


def test_it_is_found_that_a_commit_is_not_synced(monkeypatch: Patch) -> None:
    connect = SqliteFile._connect

    def careless(file: SqliteFile) -> Any:
        connection = connect(file)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(SqliteFile, "_connect", careless)
    assert "were paid for" in first_wrong(DROPPED)


def test_it_is_found_that_the_wal_s_name_is_not_synced(monkeypatch: Patch) -> None:
    monkeypatch.setattr(TellingVfs, "_on_open_folder", lambda vfs, *asked: vfs._open_folder(*asked))
    assert first_wrong(DROPPED)


def test_it_is_found_that_a_start_does_not_sync_what_a_kill_has_left(monkeypatch: Patch) -> None:
    make = SqliteFile._make_or_take_along

    def only_new(file: SqliteFile) -> None:
        if file._version(file._reading) != VERSION:
            make(file)

    monkeypatch.setattr(SqliteFile, "_make_or_take_along", only_new)
    # a commit may come before the first delete, and sync it all the same: in one way on of eight
    assert any(any(map(wrong, cuts_after_kills(ONE_AT_A_TIME))) for _ in range(6))


def test_it_is_found_that_the_output_s_folder_is_not_synced(monkeypatch: Patch) -> None:
    monkeypatch.setattr(files, "sync_folder", lambda _: None)
    assert "failed.jsonl of label is None" in first_wrong(DROPPED)


def test_it_is_found_that_the_output_is_not_synced(monkeypatch: Patch) -> None:
    monkeypatch.setattr(files, "os", Mock(wraps=os, fsync=lambda _: None, O_RDONLY=os.O_RDONLY))
    assert "text had ended, output.txt" in first_wrong(TORN)


def test_it_is_found_that_a_message_is_deleted_before_the_commit(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Reader, "_complete", hasty(Reader._complete))
    assert "waits for what never comes" in first_wrong(DROPPED)


def test_it_is_found_that_the_end_is_sent_before_the_last_index(monkeypatch: Patch) -> None:
    send, flush, end = IndexSender._send, IndexSender.flush, LabelWorker._end
    ended = threading.Event()

    def send_late(sender: IndexSender, batch: list[Any]) -> None:
        ended.wait()
        send(sender, batch)

    def end_early(worker: LabelWorker) -> None:
        in_hand, worker._in_hand = worker._in_hand, ()
        end(worker)
        worker._in_hand = in_hand
        ended.set()

    monkeypatch.setattr(IndexSender, "_send", send_late)
    monkeypatch.setattr(IndexSender, "flush", lambda it: ended.is_set() and flush(it))
    monkeypatch.setattr(LabelWorker, "_end", end_early)
    assert "waits for what never comes" in first_wrong(DROPPED)


def test_it_is_found_that_results_which_a_dead_worker_has_not_told_of_are_not_counted(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(Progress, "_is_still", lambda *_: False)
    assert "waits for what never comes" in first_wrong(KEPT, plan=FLEET)


def test_it_is_found_that_a_result_counts_before_it_is_written(monkeypatch: Patch) -> None:
    write = Writer._write

    def counted_first(writer: Writer, group: Group) -> None:
        for insert in group.inserts.values():
            if insert.tally:
                writer._counted[insert.tally].update(insert.counts)
                writer._told.add(insert.tally, partial(writer._tally, insert.tally))
                insert.counts = Counter()
        writer._tell_all()
        write(writer, group)

    monkeypatch.setattr(Writer, "_write", counted_first)
    try:
        assert first_wrong(KEPT, plan=FLEET)
    except OutageError as error:
        # where a text worker looks just then, it finds that before any crash
        assert "results of" in str(error)
