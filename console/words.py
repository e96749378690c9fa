"""Numbers as people read them, and columns that line up."""

from __future__ import annotations

from collections.abc import Sequence


def duration_text(seconds: float | None) -> str:
    """Two units at most: `35 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`; `?` for None."""
    if seconds is None:
        return "?"
    left = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, left = divmod(left, size)
        parts.append((count, name))
    first = next((n for n, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


def bytes_text(size: float) -> str:
    """`850 kB`, `3.2 GB`: thousands, as S3's bill has them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in {"B", "kB"} else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (1,)) -> str:
    """Rows of as many cells each, in columns two spaces apart, those in `right` to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
