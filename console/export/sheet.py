"""The table of a run: which rows it has, and cells that are text to a spreadsheet, no formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TextIO

from console.report.rows import Row, is_new, kind_of, labels_of
from workers.output.escapes import visible

By = Literal["picture", "line"]
Only = Literal["all", "text", "without", "near", "failed", "low", "new"]
Cell = str | float | None

COLUMNS = {
    "picture": ("lines", "text", "text_confidence"),
    "line": ("line", "text", "text_confidence"),
}
# by it a spreadsheet knows UTF-8
BOM = "\ufeff"
# where a cell begins, also where the semicolon is what separates them
FORMULA = re.compile(r"(^|;)(?=[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def write_sheet(file: TextIO, rows: Iterable[Row], by: By) -> int:
    """Writes the table, one row a picture or one a line of text; returns how many rows it has."""
    file.write(BOM)
    writer = csv.writer(file)
    writer.writerow(
        ("index", "what", "label", "confidence", "below", *COLUMNS[by], "failure", "new", "time")
    )
    count = 0
    for row in rows:
        for text in _by_picture(row) if by == "picture" else _by_line(row):
            labels = labels_of(row)
            writer.writerow(
                map(
                    _cell,
                    (
                        row["index"],
                        kind_of(row),
                        ", ".join(label["name"] for label in labels),
                        max((label["confidence"] for label in labels), default=None),
                        row.get("below"),
                        *text,
                        row.get("failure"),
                        "yes" if is_new(row) else "no",
                        row.get("time"),
                    ),
                )
            )
            count += 1
    return count


def wanted(row: Row, only: Only, low: float) -> bool:
    """Whether the report's filter of this name shows the row."""
    if only == "low":
        sure = [text["confidence"] for text in row.get("lines", ())]
        if labels := labels_of(row):
            sure.append(max(label["confidence"] for label in labels))
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
