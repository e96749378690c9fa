"""The files that people came for: whole or not at all, one line an image whatever its name."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workers.errors import RunError
from workers.ledger import SqliteLedger
from workers.model import Box, Decision, Label, Result, TextLine
from workers.output.files import Output, write_failures, write_near, write_results
from workers.output.rows import ResultRow, result_row

LABELS = (Label("Car", 97.5, (Box(0.1, 0.2, 0.3, 0.4),)),)


def text_result(index: str, *texts: str, failure: str | None = None) -> Result:
    lines = tuple(TextLine(text, 99.0, ((0.0, 0.5), (1.0, 1.0))) for text in texts)
    return Result("r", index, LABELS, lines, failure)


def result(index: str, *texts: str, failure: str | None = None) -> ResultRow:
    return result_row(text_result(index, *texts, failure=failure))


def read(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    rows = (folder / "results.jsonl").read_bytes().decode().split("\n")
    assert rows.pop() == ""
    return (folder / "output.txt").read_bytes().decode(), [json.loads(row) for row in rows]


def test_output_has_the_images_with_text_and_results_has_all(tmp_path: Path) -> None:
    write_results(
        tmp_path,
        [result("1.jpg", "AB 123", "TAXI"), result("2.jpg"), result("3.jpg", failure="gone")],
    )
    text, rows = read(tmp_path)
    assert text == "1.jpg: AB 123 | TAXI\n"
    assert [(row["index"], row["failure"]) for row in rows] == [
        ("1.jpg", None),
        ("2.jpg", None),
        ("3.jpg", "gone"),
    ]
    first = rows[0]
    box = {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}
    assert (first["run"], first["known"]) == ("r", False)
    assert first["labels"] == [{"name": "Car", "confidence": 97.5, "boxes": [box]}]
    assert first["lines"][0] == {
        "text": "AB 123",
        "confidence": 99.0,
        "polygon": [[0.0, 0.5], [1.0, 1.0]],
    }


ODD = [
    "two\nlines.jpg",
    "tab\t.jpg",
    "return\r\n.jpg",
    "😀.jpg",
    "👩\u200d🚒.jpg",
    'quote".jpg',
    "back\\slash\\n.jpg",
    "line\u2028paragraph\u2029next\x85.jpg",
    "\ufeffbom.jpg",
    "bell\x07escape\x1b[31m.jpg",
    "a | b",
    "a: b.jpg",
    "  spaces  ",
    "\ud800 lone surrogate",
]


@pytest.mark.parametrize("index", ODD)
def test_no_key_and_no_text_breaks_a_file(tmp_path: Path, index: str) -> None:
    write_results(tmp_path, [result(index, index), result("after.jpg", "B")])
    text, rows = read(tmp_path)
    lines = text.splitlines()
    assert len(lines) == 2
    assert lines[1] == "after.jpg: B"
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2
    assert [(row["index"], row["lines"][0]["text"]) for row in rows] == [
        (index, index),
        ("after.jpg", "B"),
    ]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5))
def test_any_names_and_texts(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    write_results(tmp_path, [result(index, text) for index, text in pairs])
    text, rows = read(tmp_path)
    assert len(text.splitlines()) == len(pairs)
    assert [(row["index"], row["lines"][0]["text"]) for row in rows] == pairs


def test_what_can_be_shown_is_shown_and_different_names_stay_different(tmp_path: Path) -> None:
    write_results(tmp_path, [result(name, "x") for name in ("ü👩\u200d🚒.jpg", "a\nb", "a\\nb")])
    assert read(tmp_path)[0] == "ü👩\u200d🚒.jpg: x\na\\nb: x\na\\\\nb: x\n"


def test_nothing_found_makes_empty_files(tmp_path: Path) -> None:
    write_results(tmp_path / "new" / "run", [])
    assert read(tmp_path / "new" / "run") == ("", [])


def test_an_error_in_the_middle_leaves_the_old_files_and_nothing_else(tmp_path: Path) -> None:
    write_results(tmp_path, [result("1.jpg", "old")])
    before = read(tmp_path)

    def breaks() -> Iterator[ResultRow]:
        yield result("1.jpg", "new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_results(tmp_path, breaks())
    assert read(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output.txt", "results.jsonl"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    write_results(tmp_path, [result("1.jpg", "old")])

    def looks() -> Iterator[ResultRow]:
        for number in range(5000):
            yield result(f"{number}.jpg", "new")
            if number % 1000 == 0:
                assert read(tmp_path)[0] == "1.jpg: old\n"

    write_results(tmp_path, looks())
    assert len(read(tmp_path)[1]) == 5000


@pytest.mark.parametrize("when", ["open", "fsync"])
def test_a_full_disk_is_told_in_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    write_results(tmp_path, [result("1.jpg", "old")])
    before = read(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "open", full) if when == "open" else ("os.fsync", full)))
        with pytest.raises(RunError) as raised:
            write_results(tmp_path, [result("1.jpg", "new")])
    told = str(raised.value)
    assert told.startswith(f"cannot write {tmp_path}/")
    assert "(No space left on device); make room on its disk" in told
    assert len(told.splitlines()) == 1
    assert read(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_really_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """/dev/full refuses every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda _, __, **k: opened(Path("/dev/full"), "w", **k))
    with pytest.raises(RunError, match="No space left on device"):
        write_results(tmp_path, [result(f"{number}.jpg", "x" * 1000) for number in range(100)])
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    somebodys = tmp_path / "somebodys.txt"
    somebodys.write_text("mine")
    (tmp_path / ".output.txt.new").symlink_to(somebodys)
    write_results(tmp_path, [result("1.jpg", "a")])
    assert somebodys.read_text() == "mine"
    assert not (tmp_path / "output.txt").is_symlink()


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x9b", "\x1b", "\u200f", "\U000e0041"])
def test_nothing_that_moves_a_cursor_or_turns_the_writing_is_raw(
    tmp_path: Path, character: str
) -> None:
    write_results(tmp_path, [result("1.jpg", f"a{character}b")])
    for name in ("output.txt", "results.jsonl"):
        assert character not in (tmp_path / name).read_text()
    (row,) = (tmp_path / "results.jsonl").read_text().splitlines()
    assert json.loads(row)["lines"][0]["text"] == f"a{character}b"


def test_failures_are_one_line_each(tmp_path: Path) -> None:
    failed = Decision("r", 0, "a\nb.gif", failure="wrong format")
    write_failures(tmp_path, [failed])
    (line,) = (tmp_path / "failed.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["run"], row["index"], row["failure"]) == ("r", "a\nb.gif", "wrong format")


def test_what_is_not_sure_enough_is_one_line_each_with_what_was_asked_for(tmp_path: Path) -> None:
    near = Decision("r", 0, "1.jpg", near=Label("Car", 87.123456, (Box(0.1, 0.2, 0.3, 0.4),)))
    write_near(tmp_path, [near, replace(near, index="2.jpg", known=True)], 90.0)
    first, second = map(json.loads, (tmp_path / "near.jsonl").read_text().splitlines())
    box = {"left": 0.1, "top": 0.2, "width": 0.3, "height": 0.4}
    assert first == {
        "schema": 2,
        "run": "r",
        "index": "1.jpg",
        "near": {"name": "Car", "confidence": 87.12, "boxes": [box]},
        "below": 90.0,
        "known": False,
    }
    assert second == {**first, "index": "2.jpg", "known": True}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite3")) as ledger:
        yield ledger


def test_the_files_follow_the_ledger_in_natural_order(tmp_path: Path, ledger: SqliteLedger) -> None:
    output = Output(tmp_path, ledger)
    for index in ("10.jpg", "2.jpg", "1.jpg"):
        ledger.complete([text_result(index, "x")]).result()
        output.has_news("r")
    output.write()
    text, rows = read(tmp_path / "r")
    assert text == "1.jpg: x\n2.jpg: x\n10.jpg: x\n"
    assert [row["index"] for row in rows] == ["1.jpg", "2.jpg", "10.jpg"]


def test_only_runs_with_news_are_written(tmp_path: Path, ledger: SqliteLedger) -> None:
    output = Output(tmp_path, ledger)
    output.write()
    assert not (tmp_path / "r").exists()
    output.has_news("r")
    output.write()
    (tmp_path / "r" / "output.txt").write_text("touched")
    output.write()
    assert (tmp_path / "r" / "output.txt").read_text() == "touched"


def test_writing_takes_only_a_share_of_the_time(
    tmp_path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, writes = Clock(), []
    output = Output(tmp_path, ledger, clock)

    def write() -> None:
        writes.append(clock.now)
        clock.now += cost

    monkeypatch.setattr(output, "write", write)
    cost = 0.0
    for _ in range(10):
        output.write_now_and_then()
        clock.now += 0.5
    assert len(writes) == 5
    cost = 1.0
    for _ in range(100):
        clock.now += 0.5
        output.write_now_and_then()
    spent = len(writes) - 5
    assert spent / (clock.now - 5) <= 0.06


def test_where_results_cost_their_reader_writes_get_rarer_as_they_get_more(
    tmp_path: Path, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, writes = Clock(), []
    output = Output(tmp_path, ledger, clock)
    monkeypatch.setattr(ledger, "refresh_growth", 0.5)
    monkeypatch.setattr(output, "write", lambda: writes.append(clock.now))
    for clock.now in range(30, 3600, 30):
        output.write_now_and_then()
    assert writes == [30, 60, 90, 150, 240, 360, 540, 810, 1230, 1860, 2790]
