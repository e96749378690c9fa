"""The rows of a run's files, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field, ValidationError
from typing_extensions import TypedDict

from console.json_object import first_problem, json_object
from workers.aws.answers import STRICT, reader
from workers.errors import RunError
from workers.output.rows import SCHEMA_VERSION
from workers.paths import is_there

Row = dict[str, Any]

# what a label worker writes of a run
OF_LABEL = ("failed.jsonl", "near.jsonl")
# each is loaded whole to be shown small
MOST_SHOWN = 1000


def _seconds(time: str) -> float:
    """A row's time as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


@STRICT
class _Box(TypedDict):
    left: float
    top: float
    width: float
    height: float


@STRICT
class _Label(TypedDict):
    name: str
    confidence: float
    boxes: list[_Box]


@STRICT
class _Line(TypedDict):
    text: str
    confidence: float
    polygon: list[Annotated[list[float], Field(min_length=2, max_length=2)]]


@STRICT
class _Head(TypedDict):
    schema: int
    run: str
    index: str
    known: NotRequired[bool]


@STRICT
class _Result(_Head):
    """What is asked of a row of results.jsonl or failed.jsonl; one of schema 1 had one label."""

    failure: str | None
    labels: NotRequired[list[_Label]]
    lines: NotRequired[list[_Line]]
    time: NotRequired[Annotated[str, AfterValidator(lambda time: time and _seconds(time))] | None]
    label: NotRequired[str | None]
    confidence: NotRequired[float | None]
    boxes: NotRequired[list[_Box]]


@STRICT
class _Near(_Head):
    """What is asked of a row of near.jsonl."""

    near: _Label
    below: float


_read_result, _read_near = reader(_Result), reader(_Near)


@dataclass
class Summary:
    """What a run found, added up over all of its rows.

    `counts` has how many images there are in `all`, with `text`, `without`, `near` (their label is
    not sure enough) and `failed`, how many of them are `new`, and how many `lines`; `times` are
    seconds since 1970, each with what became of the image.
    """

    run: str = ""
    label: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    label_confidences: list[float] = field(default_factory=list)
    text_confidences: list[float] = field(default_factory=list)
    times: list[tuple[float, str]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Counts a row."""
        self.run = self.run or row["run"]
        labels, lines = row.get("labels", ()), row.get("lines", ())
        if not self.label and labels:
            self.label = labels[0]["name"]
        kind = kind_of(row)
        self.counts.update({"all": 1, kind: 1, "new": is_new(row), "lines": len(lines)})
        self.text_confidences.extend(line["confidence"] for line in lines)
        self.label_confidences.extend(label["confidence"] for label in labels)
        if row.get("time"):
            self.times.append((_seconds(row["time"]), kind))


def run_files(results: Path, of_label: Sequence[Path] = ()) -> list[Path]:
    """`results` and what label workers have written of the run, in folders or beside it."""
    folders = of_label or (results.parent,)
    others = [folder / name for name in OF_LABEL for folder in folders]
    return [results, *filter(is_there, others)]


def read(files: list[Path], most: int) -> tuple[list[Row], Summary]:
    """The first `most` rows of a run's files; the sum is of all."""
    rows: list[Row] = []
    summary = Summary()
    for row in rows_of(files):
        summary.add(row)
        if len(rows) < most:
            rows.append(row)
    return rows, summary


def rows_of(files: list[Path]) -> Iterator[Row]:
    """The rows of a run's files, each once: each of a fleet's label workers has all of theirs."""
    has_copies = len({path.name for path in files}) < len(files)
    seen: set[str] = set()
    for path in files:
        for row in read_rows(path):
            if has_copies and path.name in OF_LABEL:
                if row["index"] in seen:
                    continue
                seen.add(row["index"])
            yield row


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a results.jsonl, failed.jsonl or near.jsonl; RunError when it is not one."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = _row_of(line)
                except ValueError as error:
                    raise RunError(
                        f"{path}, line {number}, is not a result: {error}; give the file as the "
                        "worker wrote it, not packed"
                    ) from error
                yield row
    except OSError as error:
        raise RunError(
            f"cannot read {path} ({error.strerror}); give the run with --run, or the file with "
            "--results"
        ) from error


def _row_of(line: bytes) -> Row:
    row = json_object(line)
    version = row.get("schema")
    if version not in [1, SCHEMA_VERSION]:
        raise ValueError(
            f"its schema is {version}, and this cartext reads {SCHEMA_VERSION}: use the one that "
            "wrote it"
        )
    try:
        (_read_near if "near" in row else _read_result)(row)
    except ValidationError as error:
        raise first_problem(error) from error
    # one of schema 1 had one label
    if version == 1 and row.get("label"):
        label = {"name": row["label"], "confidence": row["confidence"], "boxes": row["boxes"]}
        row["labels"] = [label]
    return row


def kind_of(row: Row) -> str:
    """What became of the image, as `Summary` counts it."""
    if "near" in row:
        return "near"
    return "failed" if row["failure"] else "text" if row.get("lines") else "without"


def is_new(row: Row) -> bool:
    """Whether something was paid for it in this run."""
    return not row.get("known") and not row.get("failure")


def labels_of(row: Row) -> Sequence[Row]:
    """The labels of the image, or the one that is not sure enough."""
    return [row["near"]] if "near" in row else row.get("labels", ())


def named(row: Row) -> tuple[str, float | None]:
    """The names of those labels, and how sure the surest is."""
    labels = labels_of(row)
    surest = max((label["confidence"] for label in labels), default=None)
    return ", ".join(label["name"] for label in labels), surest


def as_shown(row: Row) -> Row:
    """A row as the page's script takes it.

    Index, name and confidence of the label, under what that is, boxes, lines, failure, whether it
    was paid for in this run, time.
    """
    names, surest = named(row)
    boxes = [
        [box["left"], box["top"], box["width"], box["height"]]
        for label in labels_of(row)
        for box in label["boxes"]
    ]
    lines = [[line["text"], line["confidence"], line["polygon"]] for line in row.get("lines", ())]
    return {
        "i": row["index"],
        "n": names or None,
        "c": surest,
        "u": row.get("below"),
        "b": boxes,
        "l": lines,
        "f": row.get("failure"),
        "p": is_new(row),
        "t": row.get("time"),
    }
