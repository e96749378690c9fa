"""`python -m bench`: what the workers can do on this machine, in half an hour."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench import measures
from bench.answers import answers
from bench.fleet import PATIENCE
from bench.growing import growing
from bench.lines import lines
from bench.planning import planning
from bench.provisioning import provisioning
from bench.report import Row, as_json, chart, print_table
from bench.short import short
from bench.soak import LENGTH, soak
from bench.stub import ROOT

MEASURES = {
    "quotas": (measures.quotas, "Speed at a quota (calls/s of each operation), calls of 250 ms"),
    "texts": (measures.texts, "One text worker by itself, its queue full, calls of 250 ms"),
    "sequential": (measures.sequential, "Side by side, 50 calls/s, calls of 500 ms"),
    "sizes": (measures.sizes, "CPU time and memory, no quota, calls of 250 ms"),
    "short": (short, "Few images, both processes from start to end, no quota"),
    "listing": (measures.listing, "A over a bucket that it has done before, all but 1,000 images"),
    "planning": (planning, "`cartext plan` for ten million keys, 250 ms a page"),
    "answers": (answers, "A over a bucket that it knows, and over one that it does not"),
    "parts": (measures.parts, "Where an image's CPU time goes"),
    "scale": (measures.scale, "Workers of each kind, 20 calls/s each, one queue and one table"),
    "growing": (growing, "A fleet in which workers are killed, come and go"),
    "provisioning": (provisioning, "Two hosts of this machine made workers by Ansible"),
    "soak": (soak, "A million images through a pair, no quota, calls of 250 ms, a kill a minute"),
}
# takes longer than all the others: only where it is asked for
ASKED_FOR = {"soak"}
COSTS = "Dollars, every image a car; instances t3.small, list prices of us-east-1"


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny runs: does it work at all?")
    parser.add_argument("--only", nargs="+", choices=MEASURES, help="only these; the others stay")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder for the results")
    parser.add_argument(
        "--patience",
        type=float,
        default=0,
        metavar="SECONDS",
        help="before each run, wait so long for a machine on which nothing else is at work",
    )
    parser.add_argument(
        "--images", type=int, default=LENGTH.images, metavar="N", help="of the soak: a million"
    )
    options = parser.parse_args()
    PATIENCE.seconds = options.patience
    LENGTH.images = options.images

    console = Console(highlight=False)
    names = options.only or [name for name in MEASURES if name not in ASKED_FOR]
    file = options.out / "bench.json"
    results: dict[str, list[Row]] = {"machine": []}
    if options.only and file.exists():
        results = json.loads(file.read_text())
    machine = {**measures.machine(), "tables": ", ".join(names)}
    results["machine"] = [*_machines_of(results, set(MEASURES) - set(names)), machine]
    for name in names:
        measure, title = MEASURES[name]
        results[name] = []
        with console.status(title):
            results[name] += measure(options.quick)
        print_table(title, results[name], console, across=name == "parts")
    if "quotas" in names:
        results["costs"] = list(measures.costs(results["quotas"]))
        print_table(COSTS, results["costs"], console, across=True)

    options.out.mkdir(parents=True, exist_ok=True)
    file.write_text(as_json(results))
    pictures = {"bench.svg": chart(results)}
    if "soak" in results:
        pictures["soak.svg"] = lines(results["soak"][-1]["series"])
    console.print(file)
    for name, picture in pictures.items():
        (options.out / name).write_text(picture)
        console.print(options.out / name)
    if any(row.get("problems") for rows in results.values() for row in rows):
        raise SystemExit(1)


def _machines_of(results: dict[str, list[Row]], kept: set[str]) -> Iterator[Row]:
    """What the tables that are kept were measured on."""
    for row in results["machine"]:
        if tables := [name for name in row["tables"].split(", ") if name in kept]:
            yield {**row, "tables": ", ".join(tables)}


if __name__ == "__main__":
    main()
