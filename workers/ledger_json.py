"""Labels as the ledgers keep them: JSON."""

from __future__ import annotations

import json

from workers.records import Box, Label

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
