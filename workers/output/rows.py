"""What the files have of an image: a row of JSON, and a line for people where it has text."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, NamedTuple

from workers.model import Decision, Result, as_plain

SCHEMA_VERSION = 1
encode = json.JSONEncoder(ensure_ascii=False).encode


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
    texts = " | ".join(_visible(line.text) for line in result.lines)
    line = f"{_visible(result.index)}: {texts}" if result.lines else None
    return ResultRow(_json_row(row), line)


def failure_row(decision: Decision) -> str:
    """A row of `failed.jsonl`, without the character that ends it."""
    row = {"schema": SCHEMA_VERSION, "run": decision.run, "index": decision.index}
    return _json_row({**row, "failure": decision.failure})


def _json_row(row: dict[str, Any]) -> str:
    text = encode(row)
    if text.isascii():
        return text
    # these three end a line for many a reader, though not for JSON
    for character in "\x85\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # half a surrogate pair has no UTF-8, and its escape is JSON, too
    return text.encode("utf-8", "backslashreplace").decode()


def _visible(text: str) -> str:
    """The text with what would break a line written as an escape; a backslash is doubled."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character == "\\" or unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}
        else character
        for character in text
    )
