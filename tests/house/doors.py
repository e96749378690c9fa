"""A door: what a document says is in a file, ``[`name`](../folder/file.py)``, or `Class.name`."""

from __future__ import annotations

import re
from pathlib import Path

DOOR = re.compile(r"\[`([^`/]+)`\]\(([^)#]+)\)")


def doors_in(text: str) -> list[tuple[str, str]]:
    """The doors of a part of a document: file, as it is linked to, and name."""
    return [(file, name) for name, file in DOOR.findall(text)]


def assert_leads_somewhere(file: Path, name: str) -> None:
    """Fails unless the file is there and has the name."""
    assert file.is_file(), f"{name}: there is no {file}"
    text = file.read_text(encoding="utf-8")
    for part in name.split("."):
        assert re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text), f"no {name} in {file}"
