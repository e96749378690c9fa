"""`cartext answers`: what is kept is counted, and carried from one ledger to another, whole."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from console.answers.lines import MOST_BYTES, MOST_IN_NAMES, line_of, read_line
from console.answers.transfer import BATCH, export_to, import_from
from console.command import main
from tests.unit.schemas import read_json
from workers.answer import Answer, Handed, LabelAnswer, TextAnswer
from workers.errors import RunError
from workers.ledger import SqliteLedger
from workers.model import Box, Label, Picture, TextLine

ROOT = Path(__file__).parents[2]
BOXES = (Box(0.1, 0.2, 0.3, 0.4), Box(-0.05, 0.0, 1.0, 0.99995))
CAR = LabelAnswer(55.0, "3.0", (Label("Car", 97.12345, BOXES), Label("Outdoors", 60.0)))
NOTHING = LabelAnswer(55.0, "", ())
PLATE = TextAnswer((TextLine("ü | \n\ud800\u2028", 99.5, ((0.1, 0.2), (0.3, 0.4))),))
ONE, TWO = Picture('"0f343b0931126a20f133d67c2b018a3b-2"', 1024), Picture("opaque (kms)", 5)

Kept = dict[tuple[str, Picture], bytes]


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Callable[[str], SqliteLedger]]:
    opened = []

    def open_one(name: str) -> SqliteLedger:
        opened.append(SqliteLedger(tmp_path / name / "ledger.sqlite3"))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def old(open_one: Callable[[str], SqliteLedger]) -> SqliteLedger:
    """A ledger with an answer of each kind."""
    ledger = open_one("old")
    keep(ledger, (ONE, CAR), (TWO, NOTHING), (ONE, PLATE), (TWO, TextAnswer(())), (ONE, Handed()))
    return ledger


@pytest.fixture
def new(open_one: Callable[[str], SqliteLedger]) -> SqliteLedger:
    return open_one("new")


@pytest.fixture
def row() -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line_of(ONE, CAR))
    return row


def keep(ledger: SqliteLedger, *answers: tuple[Picture, Answer]) -> None:
    for future in [ledger.keep(picture, answer) for picture, answer in answers]:
        future.result(30)


def kept(ledger: SqliteLedger) -> Kept:
    """All answers but those that are not carried."""
    answers = ledger.all_answers()
    return {(kind, picture): packed for kind, picture, packed in answers if kind != "handed"}


# --- a line -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [CAR, NOTHING, PLATE, TextAnswer(())])
def test_a_line_is_as_the_schema_says_and_reads_as_it_was(answer: LabelAnswer | TextAnswer) -> None:
    schema = json.loads((ROOT / "docs" / "answers.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    line = line_of(ONE, answer)
    validator.validate(json.loads(line))
    named = schema["$defs"][answer.KIND]["properties"].keys()
    assert json.loads(line).keys() == named, "a field that the schema does not name"
    assert "\n" not in line
    assert read_line(line.encode()) == (ONE, answer)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"schema": 2}, "schema is 2, and this cartext reads 1"),
    ({"schema": None}, "schema is None"),
    ({"kind": "faces"}, "kind is faces, and this cartext reads labels and text"),
    ({"kind": ["labels"]}, "kind is"),
    ({"etag": ""}, "etag"),
    ({"etag": '"\u00e4"'}, "etag"),
    ({"size": 0}, "size"),
    ({"size": "5"}, "size"),
    ({"floor": 101}, "floor"),
    ({"model": "3\n0"}, "model"),
    ({"labels": None}, "labels"),
    ({"labels": [{"name": "Car", "confidence": 100.5}]}, "'Car' has a confidence of 100.5 %"),
    ({"labels": [{"name": "Car", "confidence": -1}]}, "'Car' has a confidence of -1 %"),
    ({"labels": [{"name": "C\nar", "confidence": 1}]}, "more than one line"),
    ({"labels": [{"name": "Car"}]}, r"labels\.0\.confidence"),
    ({"labels": [{"name": "Car", "confidence": 1, "boxes": [{"left": 1}]}]}, r"boxes\.0\.top"),
]


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_a_broken_line_is_refused_by_reader_and_schema(
    row: dict[str, Any], change: dict[str, Any], problem: str
) -> None:
    broken = {**row, **change}
    with pytest.raises(ValueError, match=problem):
        read_line(json.dumps(broken).encode())
    schema = json.loads((ROOT / "docs" / "answers.schema.json").read_text())
    assert not jsonschema.Draft202012Validator(schema).is_valid(broken)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\n", r"no JSON at character 1 \(Expecting value\)"),
        (b"[]", "no JSON object"),
        (b"{}", "schema is None"),
        (b'{"schema": 1}', "kind is None"),
        (b'"\xff"', "no UTF-8 at byte 2"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": ' + b"1" * MOST_BYTES + b"}", "longer than 300,000 bytes"),
        (line_of(ONE, PLATE).replace("99.5", "NaN").encode(), "confidence"),
        (line_of(ONE, PLATE).replace("99.5", "101").encode(), "101"),
        (line_of(ONE, CAR).replace("0.3", "Infinity").encode(), "width"),
    ],
)
def test_what_is_no_answer_at_all_is_refused(line: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_line(line)


def test_as_many_names_as_are_read_can_be_kept(row: dict[str, Any]) -> None:
    # as hard to press as names can be: four bytes a character
    chance = random.Random(1)
    names = [
        "".join(chr(chance.randrange(0x10000, 0x110000)) for _ in range(7)) for _ in range(2000)
    ]
    assert sum(len(name) + 1 for name in names) == MOST_IN_NAMES
    row["labels"] = [{"name": name, "confidence": 60} for name in names]
    _, answer = read_line(json.dumps(row, ensure_ascii=False).encode())
    assert LabelAnswer.unpack(answer.pack()) == answer
    row["labels"].append({"name": "", "confidence": 60})
    with pytest.raises(ValueError, match="16,000 characters"):
        read_line(json.dumps(row, ensure_ascii=False).encode())


def test_labels_are_kept_with_the_surest_first(row: dict[str, Any]) -> None:
    row["labels"].reverse()
    assert read_line(json.dumps(row).encode()) == (ONE, CAR)


# --- carrying -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_what_is_carried_is_the_same_to_the_last_bit(
    old: SqliteLedger, new: SqliteLedger, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    assert export_to(path, old) == 4
    data = path.read_bytes()
    lines = (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()
    assert sorted(json.loads(line)["kind"] for line in lines) == ["labels"] * 2 + ["text"] * 2
    imported = import_from(path, new)
    assert (imported.new, imported.of) == (4, 4)
    assert kept(new) == kept(old)


def test_what_was_handed_is_not_carried(
    old: SqliteLedger, new: SqliteLedger, tmp_path: Path
) -> None:
    export_to(tmp_path / "answers.jsonl", old)
    import_from(tmp_path / "answers.jsonl", new)
    assert new.answers("handed", [ONE]) == {}


def test_importing_again_changes_nothing(
    old: SqliteLedger, new: SqliteLedger, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    export_to(path, old)
    import_from(path, new)
    imported = import_from(path, new)
    assert (imported.new, imported.of) == (0, 4)
    assert kept(new) == kept(old)


@pytest.mark.parametrize(("there", "stays"), [(40.0, True), (55.0, True), (90.0, False)])
def test_what_is_there_with_as_low_a_floor_stays(
    new: SqliteLedger, tmp_path: Path, there: float, stays: bool
) -> None:
    mine = LabelAnswer(there, "2.0", (Label("Truck", 99.0),))
    keep(new, (ONE, mine))
    path = tmp_path / "answers.jsonl"
    path.write_text(line_of(ONE, CAR) + "\n")
    assert import_from(path, new).new == int(not stays)
    assert kept(new) == {("labels", ONE): (mine if stays else CAR).pack()}


@pytest.mark.parametrize("lowest_first", [True, False])
def test_of_two_in_one_file_the_lower_floor_counts(
    new: SqliteLedger, tmp_path: Path, lowest_first: bool
) -> None:
    lines = [line_of(ONE, CAR), line_of(ONE, LabelAnswer(80.0, "3.0", CAR.labels[:1]))]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(line + "\n" for line in (lines if lowest_first else lines[::-1])))
    assert import_from(path, new).new == 1
    assert kept(new) == {("labels", ONE): CAR.pack()}


def test_files_put_one_behind_the_other_are_one(new: SqliteLedger, tmp_path: Path) -> None:
    path = tmp_path / "both.jsonl.gz"
    both = (line_of(ONE, CAR), line_of(ONE, PLATE))
    path.write_bytes(b"".join(gzip.compress(f"{line}\n".encode()) for line in both))
    assert import_from(path, new).new == 2


def test_a_broken_line_is_named_and_nothing_is_kept(new: SqliteLedger, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    good = (line_of(Picture(f"{number}", 1), CAR) + "\n" for number in range(2 * BATCH))
    path.write_text("".join(good) + line_of(ONE, CAR).replace("97.1", "197.1") + "\n")
    with pytest.raises(
        RunError, match=rf"answers\.jsonl, line {2 * BATCH + 1}, is no answer: .*197"
    ):
        import_from(path, new)
    assert kept(new) == {}


@pytest.mark.parametrize("broken", ["cut", "not compressed", "a bit"])
def test_a_compressed_file_that_is_not_whole_is_said_so(
    new: SqliteLedger, tmp_path: Path, broken: str
) -> None:
    lines = "".join(line_of(Picture(f"{number}", 1), CAR) + "\n" for number in range(50)).encode()
    data = bytearray(gzip.compress(lines))
    data[len(data) // 2] ^= 1
    path = tmp_path / "answers.jsonl.gz"
    path.write_bytes(
        {"cut": gzip.compress(lines)[:-9], "not compressed": lines, "a bit": data}[broken]
    )
    with pytest.raises(RunError, match=r"answers\.jsonl\.gz.*nothing was imported"):
        import_from(path, new)
    assert kept(new) == {}


def test_an_answer_that_cannot_be_read_is_named(old: SqliteLedger, tmp_path: Path) -> None:
    old._file.write(
        "keep", {"etag": "rotten", "size": 7, "kind": "text", "floor": 0, "packed": b"?"}
    ).result(30)
    with pytest.raises(RunError, match="picture rotten, 7 bytes, is broken"):
        export_to(tmp_path / "answers.jsonl", old)
    assert not (tmp_path / "answers.jsonl").exists()


def test_an_import_goes_on_beside_a_worker(
    old: SqliteLedger, new: SqliteLedger, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    with path.open("w") as file:
        for number in range(3 * BATCH):
            file.write(line_of(Picture(f"{number}", 1), CAR) + "\n")
    with closing(SqliteLedger(tmp_path / "new" / "ledger.sqlite3")) as worker:
        writes = [worker.keep(Picture(f"w{number}", 1), PLATE) for number in range(100)]
        assert import_from(path, new).new == 3 * BATCH
        writes += [worker.keep(Picture(f"later{number}", 1), PLATE) for number in range(100)]
        for write in writes:
            write.result(30)
        assert len(kept(worker)) == 3 * BATCH + 200


# --- the command --------------------------------------------------------------------------------


def answers(*arguments: str) -> int:
    return main(["answers", *arguments])


def test_it_says_how_many_of_which_kind_how_large(
    old: SqliteLedger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert answers("--state-dir", str(tmp_path / "old"), "--json") == 0
    said = read_json("answers-command", capsys.readouterr().out)
    assert said["answers"] == {
        "labels": {"count": 2, "bytes": len(CAR.pack()) + len(NOTHING.pack())},
        "text": {"count": 2, "bytes": len(PLATE.pack()) + len(TextAnswer(()).pack())},
        "handed": {"count": 1, "bytes": 0},
    }
    assert answers("--state-dir", str(tmp_path / "old")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        ["labels", "2"],
        ["text", "2"],
        ["handed", "1"],
    ]


def test_it_says_how_many_are_exported(
    old: SqliteLedger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = str(tmp_path / "answers.jsonl")
    assert answers("--state-dir", str(tmp_path / "old"), "--export", file, "--json") == 0
    exported = read_json("answers-command", capsys.readouterr().out)
    assert exported == {"schema": 1, "exported": 4}


def test_what_comes_out_of_standard_output_goes_in_by_a_pipe(
    old: SqliteLedger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert answers("--state-dir", str(tmp_path / "old"), "--export", "-") == 0
    lines = capsys.readouterr().out
    reader, writer = os.pipe()
    os.write(writer, lines.encode())
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        assert answers("--state-dir", str(tmp_path / "new"), "--import", "-", "--json") == 0
    imported = read_json("answers-command", capsys.readouterr().out)
    assert imported == {"schema": 1, "new": 4, "of": 4}
    with closing(SqliteLedger(tmp_path / "new" / "ledger.sqlite3", read_only=True)) as ledger:
        assert kept(ledger) == kept(old)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--state-dir", "nowhere"], "there is no ledger sqlite:///nowhere/ledger.sqlite3"),
        (["--import", "nothing.jsonl"], "cannot read nothing.jsonl (No such file"),
        (["--import", "."], "cannot read . (Is a directory"),
        (["--import", "a", "--export", "b"], "give --export or --import"),
        (["--state-dir", "old", "--export", "old"], "old is no file"),
    ],
)
def test_what_is_wrong_is_one_line(
    old: SqliteLedger, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert answers(*arguments) == 78
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("cartext answers: ")
    assert problem in last


def test_a_ledger_of_the_version_before_is_not_read(
    old: SqliteLedger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old._file._writing.execute("PRAGMA user_version = 1")
    assert answers("--state-dir", str(tmp_path / "old")) == 78
    assert "of the version before" in capsys.readouterr().err
