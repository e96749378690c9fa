"""The results as tables for a person and as one chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]

HIDDEN = {"calls", "units", "problems", "series"}
PARTS = {"signing", "request body", "answer", "sockets", "HTTP", "rest of botocore", "ours"}
PERCENT = PARTS | {"throttled"}

WIDTH, BAR, GAP, LEFT, RIGHT = 780, 18, 6, 250, 110
BLUE, ORANGE, GREY, INK = "#3b6fb6", "#e08a2e", "#d9dde3", "#22262b"


def print_table(title: str, rows: Sequence[Row], console: Console, across: bool = False) -> None:
    """One measure, as `grid_of` lays it out."""
    grid = grid_of(rows, across)
    table = Table(box=box.SIMPLE_HEAD, show_header=across)
    for number, heading in enumerate(grid[0]):
        table.add_column(heading, justify="right" if number else "left")
    for line in grid[across:]:
        table.add_row(*line)
    console.print(f"\n[bold]{title}")
    console.print(table)
    for row in rows:
        if row.get("problems"):
            console.print(f"[red]wrong: {row['problems']}")


def grid_of(rows: Sequence[Row], across: bool = False) -> list[list[str]]:
    """A column for each run and a line for each number, or the other way `across`."""
    names = dict.fromkeys(name for row in rows for name in row if name not in HIDDEN)
    grid = [[name, *(text_of(name, row.get(name)) for row in rows)] for name in names]
    return [list(column) for column in zip(*grid, strict=True)] if across else grid


def text_of(name: str, value: Any) -> str:
    """A number with three digits that say something."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if name in PERCENT or "share" in name:
        return f"{value:.2%}"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def as_json(results: dict[str, list[Row]]) -> str:
    """The results, without the digits that mean nothing."""
    rounded = json.loads(json.dumps(results), parse_float=lambda number: round(float(number), 5))
    return json.dumps(rounded, indent=1) + "\n"


def chart(results: dict[str, list[Row]]) -> str:
    """One SVG: share of the quota, side by side with the sequential way, scale, flatness."""
    panels = [
        _bars(
            "Share of the quota that is used (A, B)",
            [
                (
                    f"{row['quota']:,} calls/s, {row['workers']}",
                    [
                        (row["A share of quota"], BLUE, f"{row['A share of quota']:.1%}"),
                        (row["B share of quota"], ORANGE, f"{row['B share of quota']:.1%}"),
                    ],
                )
                for row in results.get("quotas", [])
            ],
        ),
        _bars(
            "Images a second at 50 calls/s and 500 ms",
            [
                (row["way"], [(row["images/s"], BLUE, f"{row['images/s']:.1f}")])
                for row in results.get("sequential", [])
            ],
        ),
        _bars(
            "Images a second by workers of each kind, 20 calls/s each",
            [
                (
                    f"{row['workers']} + {row['workers']}",
                    [
                        (
                            row["B images/s"],
                            ORANGE,
                            f"{row['B images/s']:.0f} (x {row['speed-up']:.2f})",
                        )
                    ],
                )
                for row in results.get("scale", [])
            ],
        ),
        _bars(
            "CPU milliseconds an image (A, B)",
            [
                (
                    f"{row['images']:,} images",
                    [
                        (row["A CPU ms an image"], BLUE, f"{row['A CPU ms an image']:.2f}"),
                        (row["B CPU ms an image"], ORANGE, f"{row['B CPU ms an image']:.2f}"),
                    ],
                )
                for row in results.get("sizes", [])
                if row["images"]
            ],
        ),
    ]
    body, top = "", 10
    for height, panel in panels:
        body += f'<g transform="translate(0 {top})">{panel}</g>'
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


Bar = tuple[float, str, str]


def _bars(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> tuple[int, str]:
    """A panel of labelled bars and its height; none is drawn without groups."""
    if not groups:
        return 0, ""
    most = max(value for _, bars in groups for value, _, _ in bars) or 1.0
    parts = [f'<text x="10" y="14" font-weight="600">{escape(title)}</text>']
    top = 24
    for name, bars in groups:
        middle = top + len(bars) * BAR / 2 + 5
        parts.append(f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>')
        for value, color, said in bars:
            width = value / most * (WIDTH - LEFT - RIGHT)
            parts.append(
                f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{BAR - 2}" '
                f'fill="{GREY}" opacity="0.4"/>'
                f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR - 2}" '
                f'fill="{color}"/>'
                f'<text x="{LEFT + width + 6:.1f}" y="{top + BAR - 5}">{escape(said)}</text>'
            )
            top += BAR
        top += GAP
    return top + 14, "".join(parts)
