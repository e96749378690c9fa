"""What `results.jsonl` and `near.jsonl` are, by their schemas, and what can be asked of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from console.report.rows import read_rows
from tests.report.conftest import EVIL

ROOT = Path(__file__).parents[2]


def schema(name: str) -> Any:
    return json.loads((ROOT / "docs" / f"{name}.schema.json").read_text())


@pytest.mark.parametrize(("name", "count"), [("results", 4), ("near", 1)])
def test_rows_are_as_their_schema_says(folder: Path, name: str, count: int) -> None:
    validator = jsonschema.Draft202012Validator(schema(name))
    validator.check_schema(schema(name))
    rows = list(read_rows(folder / f"{name}.jsonl"))
    assert len(rows) == count
    for row in rows:
        validator.validate(row)
        assert row.keys() == schema(name)["properties"].keys(), "a field that it does not name"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("results", {"schema": 1}),
        ("results", {"labels": [{"name": "Car", "confidence": 101, "boxes": []}]}),
        ("results", {"labels": [{"name": "Car", "confidence": 97, "boxes": [{}]}]}),
        ("results", {"lines": [{"text": 1}]}),
        ("near", {"near": {"name": "Car"}}),
        ("near", {"below": None}),
    ],
)
def test_a_schema_refuses_what_is_no_row_of_it(
    folder: Path, name: str, change: dict[str, Any]
) -> None:
    row = next(iter(read_rows(folder / f"{name}.jsonl")))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**row, **change}, schema(name))


def test_a_row_of_schema_1_is_read_as_one_of_today(tmp_path: Path) -> None:
    old = {"schema": 1, "run": "r", "index": "1.jpg", "lines": [], "failure": None, "time": None}
    car = {"label": "Car", "confidence": 97.5, "boxes": []}
    (tmp_path / "results.jsonl").write_text(json.dumps({**old, **car}) + "\n")
    (row,) = read_rows(tmp_path / "results.jsonl")
    assert row["labels"] == [{"name": "Car", "confidence": 97.5, "boxes": []}]


def questions() -> Iterator[tuple[str, str, str]]:
    """Questions as in docs/results.md: a name, a jq program, its answer here."""
    yield (
        "where is this plate?",
        'select(any(.lines[]; .text | gsub("[ -]"; "") | contains("ABC346"))) | .index',
        "1.jpg\n",
    )
    yield (
        "what should a person look at again?",
        "select(any(.labels[], .lines[]; .confidence < 95)) "
        '| [.index, .labels[0].confidence, (.lines | map(.text) | join(" | "))] | @tsv',
        f"1.jpg\t97.5\tABC 346 | TAXI\nalbum/10.jpg\t91\t{EVIL}\n",
    )
    yield (
        "what is new in this run?",
        "select((.known or .failure) | not) | .index",
        "1.jpg\n2.jpg\n",
    )
    yield (
        "what failed, and why?",
        'select(.failure) | .failure | split(":")[0]',
        "gone\n",
    )


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(("name", "program", "answer"), list(questions()))
def test_jq_answers(folder: Path, name: str, program: str, answer: str) -> None:
    command = ["jq", "-r", program, "results.jsonl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == answer
