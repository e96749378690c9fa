"""What the files have of an image: a row of JSON, and a line for people where it has text."""

from __future__ import annotations

from typing import NamedTuple

from workers.model import Decision, Result, as_plain
from workers.output.escapes import json_line, visible

SCHEMA_VERSION = 1


class ResultRow(NamedTuple):
    """A result's row in `results.jsonl` and its line in `output.txt`, None where it has no text.

    Neither has the character that ends it. The ledgers keep results like this, so that the files
    of any number of them are soon written.
    """

    row: str
    line: str | None


def result_row(result: Result) -> ResultRow:
    """The result as docs/results.schema.json has it, and as `index: text | text`."""
    row = {
        "schema": SCHEMA_VERSION,
        "run": result.run,
        "index": result.index,
        "label": result.label.name if result.label else None,
        "confidence": result.label.confidence if result.label else None,
        "boxes": [as_plain(box) for box in result.label.boxes] if result.label else [],
        "lines": [as_plain(line) for line in result.lines],
        "failure": result.failure,
        "time": result.time or None,
    }
    texts = " | ".join(visible(line.text) for line in result.lines)
    line = f"{visible(result.index)}: {texts}" if result.lines else None
    return ResultRow(json_line(row), line)


def failure_row(decision: Decision) -> str:
    """A row of `failed.jsonl`, without the character that ends it."""
    row = {"schema": SCHEMA_VERSION, "run": decision.run, "index": decision.index}
    return json_line({**row, "failure": decision.failure})
