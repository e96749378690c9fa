"""Puts the results of `make bench` into docs/speed.md: `python -m bench.publish [FOLDER]`.

A table stands between `<!-- bench: NAME -->` and `<!-- end -->`. docs/bench.json keeps
what the tables were made of, so that a test can tell that nobody has typed a number.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.report import Row, grid_of, text_of
from bench.stub import ROOT

RESULTS = ROOT / "docs" / "bench.json"
CHARTS = ("bench.svg", "soak.svg")
PAGE = ROOT / "docs" / "speed.md"
TABLE = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

# of all that is measured at a quota, what somebody wants to know first
SUMMARY = {
    "quota": "quota, calls/s",
    "workers": "workers",
    "A share of quota": "A uses of its quota",
    "B share of quota": "B uses of its quota",
    "throttled": "throttled calls",
    "SQS calls a car": "SQS calls a car image",
    "A to B p50 ms": "A's answer to B's start, median ms",
    "last to file s": "last image to whole file, s",
    "A CPU ms an image": "A's CPU ms an image",
    "B CPU ms an image": "B's CPU ms an image",
    "memory MB": "memory of a worker, MB",
    "dollars 1,000": "dollars for 1,000 images, all of them cars",
    "dollars 1,000,000": "dollars for 1,000,000",
}
ACROSS = {"costs", "listing", "machine", "parts", "planning"}


def page_with(text: str, results: dict[str, list[Row]]) -> str:
    """The page with its tables made anew."""
    return TABLE.sub(lambda found: found[1] + _table(found[2], results) + found[3], text)


def _table(name: str, results: dict[str, list[Row]]) -> str:
    rows = _summary(results) if name == "summary" else results.get(name)
    if not rows:
        return "Not measured yet.\n"
    grid = grid_of(rows, name in ACROSS)
    rule = ["---", *["---:"] * (len(grid[0]) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (grid[0], rule, *grid[1:]))


def _summary(results: dict[str, list[Row]]) -> Sequence[Row]:
    rows = []
    for row in results["quotas"]:
        # the others are variants of these
        if row["workers"] in ("1 + 1", "4 + 4"):
            costs = {
                f"dollars {cost['images']:,}": cost["dollars"]
                for cost in results["costs"]
                if cost["quota"] == row["quota"]
            }
            known = {**row, **costs}
            rows.append({said: text_of(name, known[name]) for name, said in SUMMARY.items()})
    return rows


def main() -> None:
    """Copies the results beside the page and makes its tables of them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    shutil.copy(folder / "bench.json", RESULTS)
    for chart in CHARTS:
        # a long run is not part of every measuring
        if (folder / chart).exists():
            shutil.copy(folder / chart, RESULTS.parent / chart)
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(page_with(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
