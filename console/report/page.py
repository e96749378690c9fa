"""One HTML page of a run: every picture with its boxes and its text, to look at and to search."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from console.report.charts import histogram, timeline
from console.report.pictures import Pictures
from console.report.rows import MOST_SHOWN, as_shown, read
from console.report.thumbnails import map_in_order, thumbnail
from console.words import bytes_text
from workers.output.files import replacing

# thumbnails stand in the page in so large groups, and a browser takes out only what it shows
GROUP = 50


@dataclass
class Written:
    """How many pictures a page shows, of how many, and how many bytes were loaded for them."""

    shown: int
    of: int
    loaded: int = 0

    @property
    def size_of_the_others(self) -> float:
        """Bytes that all of the others have, as far as these tell."""
        return self.loaded / self.shown * (self.of - self.shown) if self.shown else 0


def write_report(
    files: list[Path], output: Path, pictures: Pictures, most: int = MOST_SHOWN, side: int = 320
) -> Written:
    """Writes the page of a run's files, as `run_files` has them.

    `most` limits the pictures, not what the summary counts; `side` is a thumbnail's longer one, in
    pixels. Raises RunError when a file is not as it must be.
    """
    rows, summary = read(files, most)
    written = Written(len(rows), summary.counts["all"])
    label = summary.label or "label"
    images = "images" if len(summary.label_confidences) != 1 else "image"
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
            thumbnails=_thumbnails([row["index"] for row in rows], pictures, side, written),
            group=GROUP,
        )
    )
    with replacing(output) as file:
        file.writelines(page)
    return written


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


def _thumbnails(
    indexes: list[str], pictures: Pictures, side: int, written: Written
) -> Iterator[str]:
    """A picture's entry after the other, told on a terminal with what is still to be loaded."""

    def load(index: str) -> tuple[int, str]:
        data = pictures.fetch(index)
        return len(data or b""), thumbnail(data, side)

    for number, (size, entry) in enumerate(map_in_order(load, indexes), 1):
        yield entry
        written.loaded += size
        if number % GROUP == 0 or number == len(indexes):
            whole = bytes_text(written.loaded / number * len(indexes))
            loaded = bytes_text(written.loaded)
            _tell(f"\r{number:,} of {len(indexes):,} pictures, {loaded} of about {whole}\x1b[K")
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
