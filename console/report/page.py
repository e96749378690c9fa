"""One HTML page of a run: every picture with its boxes and its text, to look at and to search."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from console.report.charts import histogram, timeline
from console.report.pictures import Pictures
from console.report.rows import as_shown, read
from console.report.thumbnails import map_in_order, thumbnail
from workers.output.files import replacing

# thumbnails stand in the page in so large groups, and a browser takes out only what it shows
GROUP = 50


def write_report(
    results: Path, output: Path, pictures: Pictures, most: int = 10_000, side: int = 320
) -> int:
    """Writes the page of `results` and of the failed.jsonl beside it; returns how many it shows.

    `most` limits the pictures, not what the summary counts; `side` is a thumbnail's longer one, in
    pixels. Raises RunError when a file is not as it must be.
    """
    rows, summary = read(results, most)
    label = summary.label or "label"
    images = "images" if summary.counts["all"] != 1 else "image"
    charts = (
        histogram(f"{label} confidence", images, summary.label_confidences),
        histogram("Text confidence", "lines", summary.text_confidences),
        timeline(summary.times),
    )
    style, script = _own_text("report.css"), _own_text("report.js")
    page = (
        _environment()
        .get_template("report.html")
        .generate(
            policy=_policy(style, script),
            style=style,
            script=script,
            run=summary.run or "empty",
            label=label,
            counts=summary.counts,
            charts=filter(None, charts),
            shown=len(rows),
            rows=map(as_shown, rows),
            thumbnails=_thumbnails([row["index"] for row in rows], pictures, side),
            group=GROUP,
        )
    )
    with replacing(output) as file:
        file.writelines(page)
    return len(rows)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("console.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    # `tojson` escapes what an HTML parser could take for an end tag or a comment
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _own_text(name: str) -> Markup:
    file = resources.files("console.report") / name
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - nobody else's


def _thumbnails(indexes: list[str], pictures: Pictures, side: int) -> Iterator[str]:
    """A picture's entry after the other, told on a terminal."""
    entries = map_in_order(lambda index: thumbnail(pictures.fetch(index), side), indexes)
    for number, entry in enumerate(entries, 1):
        yield entry
        if number % GROUP == 0 or number == len(indexes):
            _tell(f"\r{number:,} of {len(indexes):,} pictures")
    _tell("\r\x1b[K")


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()


def _policy(style: str, script: str) -> str:
    """The content security policy: our style and our script by their hashes, and nothing else."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
