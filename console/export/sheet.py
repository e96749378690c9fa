"""The table of a run: which rows it has, and cells that are text to a spreadsheet, no formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TextIO

from console.report.rows import Row, is_new, kind_of, named
from workers.output.escapes import visible

By = Literal["picture", "line"]
Only = Literal["all", "text", "without", "near", "failed", "low", "new"]
Cell = str | float | None

# by it a spreadsheet knows UTF-8
BOM = "\ufeff"
# where a cell begins, also where the semicolon is what separates them
FORMULA = re.compile(r"(^|;)(?=[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def write_sheet(file: TextIO, rows: Iterable[Row], by: By) -> int:
    """Writes the table, one row a picture or one a line of text; returns how many rows it has."""
    what, texts_of = ("lines", _by_picture) if by == "picture" else ("line", _by_line)
    file.write(BOM)
    writer = csv.writer(file)
    of_text = what, "text", "text_confidence"
    writer.writerow(
        ("index", "what", "label", "confidence", "below", *of_text, "failure", "new", "time")
    )
    count = 0
    for row in rows:
        before = row["index"], kind_of(row), *named(row), row.get("below")
        after = row.get("failure"), "yes" if is_new(row) else "no", row.get("time")
        for text in texts_of(row):
            writer.writerow(map(_cell, (*before, *text, *after)))
            count += 1
    return count


def wanted(row: Row, only: Only, low: float) -> bool:
    """Whether the report's filter of this name shows the row."""
    if only == "low":
        sure = [text["confidence"] for text in row.get("lines", ())]
        _, surest = named(row)
        sure += [] if surest is None else [surest]
        return "near" not in row and min(sure, default=low) < low
    return only in {"all", kind_of(row)} or (only == "new" and is_new(row))


def _by_picture(row: Row) -> Iterator[tuple[Cell, ...]]:
    lines = row.get("lines", ())
    text = " | ".join(line["text"] for line in lines)
    yield len(lines), text, min((line["confidence"] for line in lines), default=None)


def _by_line(row: Row) -> Iterator[tuple[Cell, ...]]:
    for number, line in enumerate(row.get("lines", ()), 1):
        yield number, line["text"], line["confidence"]


def _cell(value: Cell) -> Cell:
    """A text in one line, and with an apostrophe before what would be taken for a formula."""
    return FORMULA.sub(r"\1'", visible(value)) if isinstance(value, str) else value
