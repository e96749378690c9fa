"""Labels and lines of text as the ledgers keep them: JSON."""

from __future__ import annotations

import json

from workers.records import Box, Label, TextLine

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dump_label(label: Label | None) -> str | None:
    """The label as JSON, None where there is none."""
    return encode(label.as_dict()) if label else None


def load_label(text: str | None) -> Label | None:
    """The label that `dump_label` made into JSON."""
    if text is None:
        return None
    found = json.loads(text)
    boxes = tuple(Box(**box) for box in found["boxes"])
    return Label(found["name"], found["confidence"], boxes)


def dump_lines(lines: tuple[TextLine, ...]) -> str:
    """The lines as JSON; no lines are `[]`."""
    return encode([line.as_dict() for line in lines])


def load_lines(text: str) -> tuple[TextLine, ...]:
    """The lines that `dump_lines` made into JSON."""
    return tuple(
        TextLine(line["text"], line["confidence"], tuple((x, y) for x, y in line["polygon"]))
        for line in json.loads(text)
    )
