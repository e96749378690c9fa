"""One HTML page of a run: every picture with its boxes and its text, to look at and to search."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from importlib import resources
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from botocore.exceptions import ClientError
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from workers.aws import Aws
from workers.charts import histogram, timeline
from workers.errors import RunError
from workers.output import replacing
from workers.rows import SCHEMA_VERSION
from workers.settings import Settings
from workers.stop import Stop
from workers.words import bytes_text

A = TypeVar("A")
B = TypeVar("B")
Row = dict[str, Any]

# thumbnails stand in the page in so large groups, and a browser takes out only what it shows
GROUP = 50
QUALITY = 70
# what is larger is no picture that Rekognition takes, and is not fetched to be shown
MOST_BYTES = 25_000_000
MOST_PIXELS = 100_000_000
# a picture with more pixels, unless it is a JPEG (read smaller), is made small alone
MANY_PIXELS = 12_000_000
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
MISSING, UNREADABLE = "!missing", "!unreadable"


class ReportSettings(Settings):
    """Makes one self-contained HTML page from results.jsonl and the pictures.

    The pictures come from the bucket, or from a folder that has them by their keys. It needs
    Pillow: pip install 'cartext[report]'.

    example:
      cartext report --bucket my-photos --run holidays
      cartext report --results home/results.jsonl --images ~/Pictures/cars
    """

    model_config = SettingsConfigDict(env_prefix_target="all")

    bucket: str = Field("", description="S3 bucket with the images")
    queue_url: str = Field("", description="not needed here")
    images: Path | None = Field(None, description="folder with the images, instead of the bucket")
    results: Path | None = Field(None, description="results.jsonl, if not that of the run")
    output: Path | None = Field(None, description="page to write, if not report.html beside it")
    most: int = Field(10_000, ge=1, description="pictures on the page; the summary counts all")
    thumbnail: int = Field(320, ge=64, le=1024, description="longer side of a thumbnail in pixels")


class Pictures(Protocol):
    """Where the pictures come from."""

    def fetch(self, index: str) -> bytes | None:
        """The picture's bytes, None when there is none."""


class FolderPictures:
    """Pictures of a folder, by their key with or without the prefix."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        if not folder.is_dir():
            raise RunError(f"there is no folder {folder}; check --images")
        self._folder = os.path.normpath(folder.absolute())
        self._prefix = prefix

    def fetch(self, index: str) -> bytes | None:
        for name in (index, index.removeprefix(self._prefix)):
            path = Path(os.path.normpath(f"{self._folder}/{name}"))
            # a key is anybody's text, and may begin with ../
            if path.is_relative_to(self._folder):
                try:
                    with path.open("rb") as file:
                        return file.read(MOST_BYTES)
                except (OSError, ValueError):
                    continue
        return None


class BucketPictures:
    """Pictures of the bucket."""

    def __init__(self, settings: Settings) -> None:
        if not settings.bucket:
            raise RunError("no pictures: set CARTEXT_BUCKET, or give a folder with --images")
        self._aws = Aws(settings, Stop())
        self._bucket = settings.bucket

    def fetch(self, index: str) -> bytes | None:
        def get() -> bytes | None:
            reply = self._aws.s3.get_object(Bucket=self._bucket, Key=index)
            with reply["Body"] as body:
                return body.read() if reply["ContentLength"] <= MOST_BYTES else None

        try:
            return self._aws.call("S3 GetObject", get)
        except ClientError:
            return None


def run(settings: ReportSettings) -> None:
    """Writes the page; raises RunError when there are no results, no pictures or no Pillow."""
    results = settings.results or settings.run_dir / "results.jsonl"
    output = settings.output or results.with_name("report.html")
    folder = settings.images
    pictures = FolderPictures(folder, settings.prefix) if folder else BucketPictures(settings)
    shown = write_report(results, output, pictures, settings.most, settings.thumbnail)
    size = bytes_text(output.stat().st_size)
    print(f"{output}: {shown:,} pictures, {size}")  # noqa: T201 - what the command is for


def write_report(
    results: Path, output: Path, pictures: Pictures, most: int = 10_000, thumbnail: int = 320
) -> int:
    """Writes the page of `results` and of the failed.jsonl beside it; returns how many it shows.

    `most` limits the pictures, not what the summary counts; `thumbnail` is a longer side in pixels.
    Raises RunError when a file is not as it must be, or Pillow is missing.
    """
    make = thumbnails(thumbnail)
    rows, summary = _read(results, most)
    head, middle, end = _page(summary, len(rows))
    with replacing(output) as file:
        file.write(head)
        file.write("[" + ",\n".join(_json(_short(row)) for row in rows) + "]")
        file.write(middle)
        _write_thumbnails(file, [row["index"] for row in rows], pictures, make)
        file.write(end)
    return len(rows)


# --- rows ---------------------------------------------------------------------------------------


@dataclass
class Summary:
    """What a run found, added up over all of its rows."""

    run: str = ""
    label: str = ""
    counts: dict[str, int] = field(
        default_factory=lambda: {"all": 0, "text": 0, "without": 0, "failed": 0, "lines": 0}
    )
    label_confidences: list[float] = field(default_factory=list)
    text_confidences: list[float] = field(default_factory=list)
    times: list[tuple[float, str]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Counts a row; its time is kept in seconds, with what became of it."""
        self.run = self.run or row["run"]
        self.label = self.label or row.get("label") or ""
        lines = row.get("lines", ())
        kind = "failed" if row["failure"] else "text" if lines else "without"
        self.counts["all"] += 1
        self.counts[kind] += 1
        self.counts["lines"] += len(lines)
        self.text_confidences.extend(line["confidence"] for line in lines)
        if row.get("confidence") is not None:
            self.label_confidences.append(row["confidence"])
        if row.get("time"):
            self.times.append((datetime.fromisoformat(row["time"]).timestamp(), kind))


def _read(results: Path, most: int) -> tuple[list[Row], Summary]:
    rows: list[Row] = []
    summary = Summary()
    failed = results.with_name("failed.jsonl")
    for path in (results, failed) if failed.exists() else (results,):
        for row in read_rows(path):
            summary.add(row)
            if len(rows) < most:
                rows.append(row)
    return rows, summary


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a results.jsonl or failed.jsonl; raises RunError when it is not one."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    version = row["schema"]
                    row["run"], row["index"], row["failure"]
                except (ValueError, KeyError, TypeError) as error:
                    raise RunError(f"{path}, line {number}, is not a result: {error!r}") from error
                if version != SCHEMA_VERSION:
                    raise RunError(
                        f"{path}, line {number}, has schema {version}; this cartext reads "
                        f"{SCHEMA_VERSION}: use the one that wrote it"
                    )
                yield row
    except OSError as error:
        raise RunError(
            f"cannot read {path} ({error.strerror}); give the run with --run, or the file with "
            "--results"
        ) from error


def _short(row: Row) -> Row:
    """A row as the page's script takes it: index, label, boxes, lines, failure, time."""
    boxes = [[box["left"], box["top"], box["width"], box["height"]] for box in row.get("boxes", ())]
    lines = [[line["text"], line["confidence"], line["polygon"]] for line in row.get("lines", ())]
    return {
        "i": row["index"],
        "n": row.get("label"),
        "c": row.get("confidence"),
        "b": boxes,
        "l": lines,
        "f": row["failure"],
        "t": row.get("time"),
    }


def _json(value: Any) -> str:
    """JSON in ASCII that no HTML parser takes for an end tag or a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- thumbnails ---------------------------------------------------------------------------------


def thumbnails(side: int) -> Callable[[bytes | None], str]:
    """What makes of a picture's bytes its entry in the page: width, height, JPEG in base 64.

    Raises RunError when Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 - the workers do without
    except ImportError as error:
        raise RunError("the report needs Pillow: pip install 'cartext[report]'") from error
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    large = threading.Lock()

    def small(image: Image.Image) -> Image.Image:
        if image.format == "JPEG" or image.width * image.height <= MANY_PIXELS:
            image.thumbnail((side, side), reducing_gap=2.0)
            return image
        with large:
            image.thumbnail((side, side), reducing_gap=2.0)
            return image

    def entry(data: bytes | None) -> str:
        if data is None:
            return MISSING
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                picture = small(opened)
                # Rekognition turns a JPEG by its EXIF, and its boxes are those of the turned one
                if opened.format in {"JPEG", "MPO"}:
                    picture = ImageOps.exif_transpose(picture)
                picture = _on_white(picture)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return UNREADABLE
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, optimize=True)
        encoded = base64.b64encode(file.getvalue()).decode()
        return f"{picture.width} {picture.height} {encoded}"

    def _on_white(picture: Image.Image) -> Image.Image:
        if "A" not in picture.getbands() and "transparency" not in picture.info:
            return picture.convert("RGB")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")

    return entry


def _write_thumbnails(
    file: IO[str],
    indexes: list[str],
    pictures: Pictures,
    make: Callable[[bytes | None], str],
) -> None:
    entries = _map_in_order(lambda index: make(pictures.fetch(index)), indexes)
    for number, entry in enumerate(entries):
        if number % GROUP == 0:
            file.write('<script type="text/plain" class="thumbnails">')
        file.write(entry + "\n")
        if number % GROUP == GROUP - 1 or number == len(indexes) - 1:
            file.write("</script>\n")
            _tell(f"\r{number + 1:,} of {len(indexes):,} pictures")
    _tell("\r\x1b[K")


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()


def _map_in_order(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`map` in threads, never more than a few items ahead of who takes the answers."""
    threads = 4 + 2 * (os.cpu_count() or 1)
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbnail") as executor:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


# --- the page -----------------------------------------------------------------------------------


def _page(summary: Summary, shown: int) -> list[str]:
    """The page in three parts: what stands before the rows, before the thumbnails, and the end."""
    parts = resources.files("workers")
    style = (parts / "report.css").read_text(encoding="utf-8")
    script = (parts / "report.js").read_text(encoding="utf-8")
    label, counts = summary.label or "label", summary.counts
    images = "images" if counts["all"] != 1 else "image"
    values = {
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "run": escape(summary.run or "empty"),
        "label": escape(label),
        "note": _note(summary, shown),
        "charts": "".join(
            (
                histogram(f"{label} confidence", images, summary.label_confidences),
                histogram("Text confidence", "lines", summary.text_confidences),
                timeline(summary.times),
            )
        ),
        **{f"count_{name}": f"{count:,}" for name, count in counts.items()},
        "group": str(GROUP),
    }
    page = (parts / "report.html").read_text(encoding="utf-8")
    # first the parts, for a value may have any text in it
    return [
        re.sub(r"{{(\w+)}}", lambda found: values[found[1]], part)
        for part in re.split(r"{{(?:rows|thumbnails)}}", page)
    ]


def _note(summary: Summary, shown: int) -> str:
    if shown == summary.counts["all"]:
        return ""
    return f"The first {shown:,} of {summary.counts['all']:,} are shown; the counts are of all."


def _policy(style: str, script: str) -> str:
    """The content security policy: our style and our script by their hashes, and nothing else."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
