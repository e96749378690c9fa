"""What people come for, read from a worker's folder so that two runs can be compared."""

from __future__ import annotations

import re
from pathlib import Path

Output = dict[str, str | None]
"""What is in each file; None: it is not there."""

FILES = {"label": ("failed.jsonl", "near.jsonl"), "text": ("output.txt", "results.jsonl")}
# when it was read, and whether anew, may differ
MAY_DIFFER = re.compile(r'"(time|known)": (?:"[^"]*"|true|false)')


def output_of(state_dir: Path, role: str) -> Output:
    """The files of a worker's run."""
    found: Output = {}
    for name in FILES[role]:
        path = state_dir / "default" / name
        found[name] = MAY_DIFFER.sub(r'"\1": …', path.read_text()) if path.exists() else None
    return found
