"""What the files have of an image: a row of JSON, and a line for people where it has text."""

from __future__ import annotations

from typing import Any, NamedTuple

from workers.model import Decision, Label, Result, TextLine, as_plain
from workers.output.escapes import json_line, visible

SCHEMA_VERSION = 2


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
        "labels": [_row_of(label) for label in result.labels],
        "lines": [_row_of(line) for line in result.lines],
        "failure": result.failure,
        "known": result.known,
        "time": result.time or None,
    }
    texts = " | ".join(visible(line.text) for line in result.lines)
    line = f"{visible(result.index)}: {texts}" if result.lines else None
    return ResultRow(json_line(row), line)


def _row_of(found: Label | TextLine) -> dict[str, Any]:
    # what decides is as exact as it was said; people read two digits
    return {**as_plain(found), "confidence": round(found.confidence, 2)}


def failure_row(decision: Decision) -> str:
    """A row of `failed.jsonl`, without the character that ends it."""
    return json_line({**_head(decision), "failure": decision.failure})


def near_row(decision: Decision, near: Label, below: float) -> str:
    """The same of `near.jsonl`, as docs/near.schema.json has it."""
    row = {**_head(decision), "near": _row_of(near), "below": below, "known": decision.known}
    return json_line(row)


def _head(decision: Decision) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "run": decision.run, "index": decision.index}
