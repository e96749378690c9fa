"""A run over its time as one SVG: a panel a measure, a line a worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from bench.report import BLUE, GREY, INK, ORANGE, WIDTH, Row, text_of

PANELS = (
    ("Images a second", ("images/s",)),
    ("Memory, MB", ("A memory MB", "B memory MB")),
    ("Open files", ("A open files", "B open files")),
    ("Ledger, bytes an image", ("A ledger bytes an image", "B ledger bytes an image")),
    ("SQLite's WAL, MB", ("A WAL MB", "B WAL MB")),
    ("From commit to delete, ms (median)", ("commit to delete p50 ms",)),
)
COLORS = {"A": BLUE, "B": ORANGE}
HEIGHT, LEFT, RIGHT, GAP = 90, 60, 90, 44


def lines(series: Sequence[Row]) -> str:
    """The picture of `series`, whose rows are in the order of time."""
    body = "".join(
        f'<g transform="translate(0 {30 + number * (HEIGHT + GAP)})">{"".join(panel)}</g>'
        for number, panel in enumerate(_panel(series, *panel) for panel in PANELS)
    )
    height = 30 + len(PANELS) * (HEIGHT + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


def _panel(series: Sequence[Row], title: str, names: Sequence[str]) -> Iterator[str]:
    most = max((row[name] for row in series for name in names if name in row), default=0) or 1.0
    end = series[-1]["minutes"]
    width = WIDTH - LEFT - RIGHT
    yield f'<text x="{LEFT}" y="-8" font-weight="600">{escape(title)}</text>'
    yield f'<text x="{LEFT - 6}" y="10" text-anchor="end">{text_of("", float(most))}</text>'
    yield f'<text x="{LEFT - 6}" y="{HEIGHT}" text-anchor="end">0</text>'
    yield f'<path d="M{LEFT} 0V{HEIGHT}H{LEFT + width}" fill="none" stroke="{GREY}"/>'
    yield (
        f'<text x="{LEFT + width}" y="{HEIGHT + 15}" text-anchor="end">'
        f"{text_of('', float(end))} minutes</text>"
    )
    for name in names:
        color = COLORS.get(name[0], BLUE)
        points = [
            (LEFT + row["minutes"] / end * width, HEIGHT * (1 - row[name] / most))
            for row in series
            if name in row
        ]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{drawn}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        if len(names) > 1 and points:
            at = f'x="{LEFT + width + 6}" y="{points[-1][1] + 4:.1f}"'
            yield f'<text {at} fill="{color}">{name[0]}</text>'
