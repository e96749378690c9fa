"""A line of an answers file: one answer as JSON, as docs/answers.schema.json says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from console.json_object import first_problem, json_object
from workers.answer import LabelAnswer, TextAnswer
from workers.model import Label, Picture, TextLine, dump
from workers.settings import Percent

SCHEMA_VERSION = 1
# what is packed of a longer line might be more than one item of DynamoDB holds
MOST_BYTES = 300_000
# nor may the names of its labels, for which the packing has 64 KB
MOST_IN_NAMES = 16_000

# that a picture was handed to a text worker is not carried: the text worker's answer says it better
Carried = LabelAnswer | TextAnswer
CARRIED: dict[str, type[Carried]] = {kind.KIND: kind for kind in (LabelAnswer, TextAnswer)}


def _surest_first(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    for label in labels:
        _check(label.name, label.confidence)
        if "\n" in label.name:
            raise ValueError(f"the label {label.name!r} has more than one line")
    if sum(len(label.name) + 1 for label in labels) > MOST_IN_NAMES:
        raise ValueError(f"the names of its labels have more than {MOST_IN_NAMES:,} characters")
    return tuple(sorted(labels, key=lambda label: -label.confidence))


def _in_bounds(lines: tuple[TextLine, ...]) -> tuple[TextLine, ...]:
    for line in lines:
        _check(line.text, line.confidence)
    return lines


def _check(name: str, confidence: float) -> None:
    if not 0 <= confidence <= 100:
        raise ValueError(f"{name!r} has a confidence of {confidence:g} %")


@dataclass(frozen=True, slots=True)
class _Row:
    schema: int
    kind: str
    etag: Annotated[str, Field(pattern=r"^[ -~]{1,512}$")]
    size: Annotated[int, Field(strict=True, ge=1, lt=2**63)]


@dataclass(frozen=True, slots=True)
class _LabelRow(_Row):
    kind: Literal["labels"]
    floor: Percent
    model: Annotated[str, Field(pattern=r"^[^\n]{0,100}$")]
    labels: Annotated[tuple[Label, ...], AfterValidator(_surest_first)]


@dataclass(frozen=True, slots=True)
class _TextRow(_Row):
    kind: Literal["text"]
    lines: Annotated[tuple[TextLine, ...], AfterValidator(_in_bounds)]


_row: TypeAdapter[_LabelRow | _TextRow] = TypeAdapter(
    Annotated[_LabelRow | _TextRow, Field(discriminator="kind")]
)


def line_of(picture: Picture, answer: Carried) -> str:
    """An answer about a picture as a line, without its end."""
    if isinstance(answer, LabelAnswer):
        floor, model, labels = answer.floor, answer.model, answer.labels
        return dump(_LabelRow(SCHEMA_VERSION, "labels", *picture, floor, model, labels))
    return dump(_TextRow(SCHEMA_VERSION, "text", *picture, answer.lines))


def read_line(line: bytes) -> tuple[Picture, Carried]:
    """The picture of a line and the answer about it; raises ValueError when it is not whole."""
    if len(line) >= MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES:,} bytes")
    plain = json_object(line)
    _check_meant("schema", plain.get("schema"), [SCHEMA_VERSION])
    _check_meant("kind", plain.get("kind"), list(CARRIED))
    try:
        row = _row.validate_python(plain)
    except ValidationError as error:
        # the first step is the kind
        raise first_problem(error, depth=1) from error
    picture = Picture(row.etag, row.size)
    if isinstance(row, _LabelRow):
        return picture, LabelAnswer(row.floor, row.model, row.labels)
    return picture, TextAnswer(row.lines)


def _check_meant(field: str, value: object, known: list[Any]) -> None:
    if value not in known:
        these = " and ".join(map(str, known))
        raise ValueError(f"its {field} is {value}, and this cartext reads {these}")
