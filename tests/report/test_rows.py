"""What `results.jsonl` is, by its schema, and what can be asked of it."""

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


@pytest.fixture
def schema() -> Any:
    return json.loads((ROOT / "docs" / "results.schema.json").read_text())


def test_results_are_as_the_schema_says(folder: Path, schema: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    rows = list(read_rows(folder / "results.jsonl"))
    assert len(rows) == 4
    for row in rows:
        validator.validate(row)
        assert row.keys() == schema["properties"].keys(), "a field that the schema does not name"


def test_the_schema_refuses_what_is_not_a_result(folder: Path, schema: Any) -> None:
    row = next(iter(read_rows(folder / "results.jsonl")))
    for change in ({"schema": 2}, {"confidence": 101}, {"boxes": [{}]}, {"lines": [{"text": 1}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**row, **change}, schema)


def questions() -> Iterator[tuple[str, str, str]]:
    """Three questions for the README: a name, a jq program, its answer here."""
    yield (
        "where is this plate?",
        'select(any(.lines[]; .text | gsub("[ -]"; "") | contains("ABC346"))) | .index',
        "1.jpg\n",
    )
    yield (
        "what should a person look at again?",
        "select(.confidence < 95 or any(.lines[]; .confidence < 90)) "
        '| [.index, .confidence, (.lines | map(.text) | join(" | "))] | @tsv',
        "1.jpg\t97.5\tABC 346 | TAXI\n" + f"album/10.jpg\t91\t{EVIL}\n" + f"{EVIL}\t\t\n",
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
