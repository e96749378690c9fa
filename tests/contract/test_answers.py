"""Answers go from a pair's file to a fleet's table and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.answers.transfer import count, export_to, import_from
from tests.contract.conftest import CAR, LINES, open_table, wait
from workers.answer import Handed, LabelAnswer, TextAnswer
from workers.ledger import Ledger, SqliteLedger
from workers.model import Label, Picture

SEEN = LabelAnswer(55.0, "3.0", (CAR,))
READ = TextAnswer(LINES)
# more than one request to the table takes
PICTURES = [Picture(f'"{number:032x}"', number + 1) for number in range(130)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A pair's ledger, with answers."""
    with closing(SqliteLedger(tmp_path / "pair.sqlite3")) as ledger:
        wait(*(ledger.keep(picture, SEEN) for picture in PICTURES))
        wait(*(ledger.keep(picture, READ) for picture in PICTURES[::10]))
        wait(ledger.keep(PICTURES[0], Handed()))
        yield ledger


@pytest.fixture
def fleet(client: Any) -> Iterator[Ledger]:
    """A fleet's ledger, empty."""
    with closing(open_table(client)) as ledger:
        yield ledger


def kept(ledger: Ledger) -> set[tuple[str, Picture, bytes]]:
    """All answers but those that are not carried."""
    return {answer for answer in ledger.all_answers() if answer[0] != Handed.KIND}


def test_from_a_pair_to_a_fleet_and_back(pair: SqliteLedger, fleet: Ledger, tmp_path: Path) -> None:
    there, back = tmp_path / "there.jsonl.gz", tmp_path / "back.jsonl.gz"
    assert export_to(there, pair) == 143
    assert import_from(there, fleet).new == 143
    assert kept(fleet) == kept(pair)
    assert [kind.count for kind in count(fleet).values()] == [130, 13, 0]
    assert export_to(back, fleet) == 143
    with closing(SqliteLedger(tmp_path / "later.sqlite3")) as later:
        assert import_from(back, later).new == 143
        assert kept(later) == kept(pair)


def test_a_fleet_has_imported_already(pair: SqliteLedger, fleet: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    export_to(path, pair)
    import_from(path, fleet)
    before = kept(fleet)
    assert import_from(path, fleet).new == 0
    assert kept(fleet) == before


def test_what_a_fleet_has_with_as_low_a_floor_stays(
    pair: SqliteLedger, fleet: Ledger, tmp_path: Path
) -> None:
    lower = LabelAnswer(40.0, "2.0", (Label("Truck", 45.0),))
    higher = LabelAnswer(90.0, "2.0", ())
    wait(fleet.keep(PICTURES[0], lower), fleet.keep(PICTURES[1], higher))
    path = tmp_path / "answers.jsonl"
    export_to(path, pair)
    assert import_from(path, fleet).new == 142
    there = fleet.answers(LabelAnswer.KIND, PICTURES[:2])
    assert [there[picture] for picture in PICTURES[:2]] == [lower.pack(), SEEN.pack()]
