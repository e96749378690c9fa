"""`cartext export`: the table of a run, as a spreadsheet takes it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console import command as cli
from console.report.rows import read, run_files
from workers.ledger import open_ledger
from workers.model import Decision, Label, Result, TextLine
from workers.output.files import write_failures, write_near, write_results
from workers.output.rows import result_row
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
CAR = Label("Car", 97.5)
RESULTS = (
    Result(
        "r", "1.jpg", (CAR,), (TextLine("ÄB 1", 99.5), TextLine("TAXI", 84.0)), time="2026-01-01"
    ),
    Result("r", "2.jpg", (Label("Car", 91.0), Label("Truck", 93.0)), time="2026-01-02"),
    Result("r", "3.jpg", (CAR,), (TextLine("RNN393", 98.0),), known=True),
    Result("r", "4.jpg", (CAR,), failure="gone: no longer there"),
)

Table = list[list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What both workers of a run have written."""
    write_results(tmp_path, map(result_row, RESULTS))
    write_failures(tmp_path, [Decision("r", 0, "5.jpg", failure="empty: no bytes")])
    write_near(tmp_path, [Decision("r", 0, "6.jpg", near=Label("Car", 87.0))], 90.0)
    return tmp_path


def exported(folder: Path, *flags: str) -> Table:
    file = folder / "table.csv"
    given = ["--results", str(folder / "results.jsonl"), "--csv", str(file), *flags]
    assert cli.main(["export", *given]) == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))


def test_a_row_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = exported(folder)
    said = ",".join(head)
    assert said == "index,what,label,confidence,below,lines,text,text_confidence,failure,new,time"
    assert rows == [
        ["1.jpg", "text", "Car", "97.5", "", "2", "ÄB 1 | TAXI", "84.0", "", "yes", "2026-01-01"],
        ["2.jpg", "without", "Car, Truck", "93.0", "", "0", "", "", "", "yes", "2026-01-02"],
        ["3.jpg", "text", "Car", "97.5", "", "1", "RNN393", "98.0", "", "no", ""],
        ["4.jpg", "failed", "Car", "97.5", "", "0", "", "", "gone: no longer there", "no", ""],
        ["5.jpg", "failed", "", "", "", "0", "", "", "empty: no bytes", "no", ""],
        ["6.jpg", "near", "Car", "87.0", "90.0", "0", "", "", "", "yes", ""],
    ]
    assert capsys.readouterr().out == f"{folder / 'table.csv'}: 6 rows\n"


def test_a_row_a_line_of_text(folder: Path) -> None:
    head, *rows = exported(folder, "--by", "line")
    assert head[5:8] == ["line", "text", "text_confidence"]
    assert [[row[0], *row[5:8]] for row in rows] == [
        ["1.jpg", "1", "ÄB 1", "99.5"],
        ["1.jpg", "2", "TAXI", "84.0"],
        ["3.jpg", "1", "RNN393", "98.0"],
    ]


@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        (["--only", "all"], "123456"),
        (["--only", "text"], "13"),
        (["--only", "without"], "2"),
        (["--only", "near"], "6"),
        (["--only", "failed"], "45"),
        (["--only", "new"], "126"),
        (["--only", "low"], "12"),
        (["--only", "low", "--low", "93"], "1"),
        (["--only", "low", "--low", "98"], "1234"),
    ],
)
def test_the_reports_filters(folder: Path, flags: list[str], numbers: str) -> None:
    _, *rows = exported(folder, *flags)
    assert "".join(row[0].removesuffix(".jpg") for row in rows) == numbers


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://evil.test")', '\'=HYPERLINK("http://evil.test")'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1+1", "'  =1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        # what spreadsheets skip at the beginning
        ("\t=1+1", "\\t=1+1"),
        ("\r=1+1", "\\r=1+1"),
        # where the semicolon separates cells
        ("x;=1+1", "x;'=1+1"),
        ('x;"=1+1', "x;'\"=1+1"),
        ("A-B 1+1=2", "A-B 1+1=2"),
        ('a "b", c\nd', 'a "b", c\\nd'),
        ("half \ud800", "half \\ud800"),
    ],
)
@pytest.mark.parametrize("by", ["picture", "line"])
def test_no_cell_is_a_formula(tmp_path: Path, text: str, cell: str, by: str) -> None:
    line, car = TextLine(text, 99.0), Label(text, 97.0)
    write_results(tmp_path, [result_row(Result("r", text, (car,), (line,), failure=text))])
    _, row = exported(tmp_path, "--by", by)
    assert [row[column] for column in (0, 2, 6, 8)] == [cell] * 4


def test_an_error_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text('{"schema": "\\u001b]0;pwned\\u0007\\u202e"}\n')
    assert cli.main(["export", "--results", str(results), "--csv", str(tmp_path / "c")]) == 78
    said = capsys.readouterr().err
    assert "pwned" in said
    assert said.rstrip("\n").isprintable()


def test_schema_1_is_exported_too(tmp_path: Path) -> None:
    old: dict[str, Any] = {"schema": 1, "run": "r", "index": "1.jpg", "lines": [], "failure": None}
    car = {"label": "Car", "confidence": 97.5, "boxes": []}
    (tmp_path / "results.jsonl").write_text(json.dumps({**old, **car}) + "\n")
    _, row = exported(tmp_path)
    assert row[:4] == ["1.jpg", "without", "Car", "97.5"]


def test_a_packed_file_has_the_same(folder: Path) -> None:
    packed = folder / "table.csv.gz"
    exported(folder)
    results = str(folder / "results.jsonl")
    assert cli.main(["export", "--results", results, "--csv", str(packed)]) == 0
    assert gzip.decompress(packed.read_bytes()) == (folder / "table.csv").read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_table_that_is_printed_is_all_that_is_printed(folder: Path, encoding: str) -> None:
    exported(folder)
    results = str(folder / "results.jsonl")
    command = [sys.executable, "-m", "console", "export", "--results", results, "--csv", "-"]
    env = {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True)
    assert done.stdout == (folder / "table.csv").read_bytes()
    assert done.stderr == b"-: 6 rows\n"


@pytest.mark.parametrize("given", ["a,b", "flags"])
def test_the_folders_of_label_workers_are_given_by_flags_or_with_commas(
    folder: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in (("a", "failed.jsonl"), ("b", "near.jsonl")):
        (folder / name).mkdir()
        (folder / file).rename(folder / name / file)
    monkeypatch.chdir(folder)
    flags = ["--of-label", "a", "--of-label", "b"] if given == "flags" else []
    if not flags:
        monkeypatch.setenv("CARTEXT_OF_LABEL", given)
    _, *rows = exported(folder, *flags)
    assert [row[0] for row in rows] == [f"{number}.jpg" for number in range(1, 7)]


def test_what_each_label_worker_of_a_fleet_has_is_there_once(folder: Path) -> None:
    (folder / "second").mkdir()
    for file in ("failed.jsonl", "near.jsonl"):
        (folder / "second" / file).write_bytes((folder / file).read_bytes())
    _, *rows = exported(folder, "--of-label", f"{folder},{folder / 'second'}")
    assert [row[0] for row in rows] == [f"{number}.jpg" for number in range(1, 7)]
    files = run_files(folder / "results.jsonl", [folder, folder / "second"])
    assert read(files, 100)[1].counts["all"] == 6


def test_a_folder_of_label_workers_that_has_nothing_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--results", str(folder / "results.jsonl"), "--of-label", f"{folder},state/a"]
    assert cli.main(["export", *given, "--csv", str(folder / "table.csv")]) == 78
    said = capsys.readouterr().err
    assert "state/a has no failed.jsonl and no near.jsonl; give the folder of the run" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [["export", "--csv", "-"], ["answers"]])
def test_a_full_disk_under_standard_output_is_one_line(folder: Path, command: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    open_ledger(Settings(bucket="b12", queue_url="http://q/1/i", state_dir=folder)).close()
    (folder / "default").mkdir()
    (folder / "results.jsonl").rename(folder / "default" / "results.jsonl")
    command = [sys.executable, "-m", "console", *command, "--state-dir", str(folder)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 78
    *_, said = done.stderr.decode().splitlines()
    assert said.endswith("(No space left on device); make room on its disk, then start again")
    assert b"Traceback" not in done.stderr


def test_results_that_are_broken_leave_no_half_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.jsonl").write_text(result_row(RESULTS[0])[0] + "\n{\n")
    table = tmp_path / "table.csv"
    given = ["--results", str(tmp_path / "results.jsonl"), "--csv", str(table)]
    assert cli.main(["export", *given]) == 78
    assert "line 2, is not a result" in capsys.readouterr().err
    assert not table.exists()


def test_without_a_file_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export"]) == 78
    assert "set --csv or CARTEXT_CSV" in capsys.readouterr().err
