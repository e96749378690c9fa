"""A browser for the tests of the report, and pages to look at."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from console.report.page import write_report
from console.report.rows import run_files
from sandbox.scenes import Sample, sample_images
from tests.report.browser import CHROMIUM, Browser
from workers.model import Box, Decision, Label, Result, TextLine
from workers.output.files import write_failures, write_near, write_results
from workers.output.rows import result_row

EVIL = "</script ><img src=x onerror=alert(1)><!--<script >alert('<!--&\u2028\U0001f697')</script>"
MAGENTA = (255, 0, 255)
# where the rectangle of `turned.jpg` is, in the picture as people see it
RECTANGLE = Box(0.25, 0.125, 0.5, 0.25)

CAR = (Label("Car", 97.5, (Box(0.1, 0.2, 0.3, 0.4),)),)
POLYGON = ((0.2, 0.3), (0.4, 0.3), (0.4, 0.4), (0.2, 0.4))
RESULTS = (
    Result(
        "holidays",
        "1.jpg",
        CAR,
        (TextLine("ABC 346", 99.2, POLYGON), TextLine("TAXI", 84.0, POLYGON)),
        time="2026-01-02T03:04:05.000+00:00",
    ),
    Result("holidays", "2.jpg", CAR, time="2026-01-02T03:04:09.500+00:00"),
    Result(
        "holidays",
        "album/10.jpg",
        (Label("Car", 91.0), Label("Truck", 98.0)),
        (TextLine(EVIL, 88.0, POLYGON),),
        known=True,
    ),
    Result("holidays", EVIL, failure="gone: the object is no longer in the bucket"),
)

MakePage = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's output."""
    write_results(tmp_path, map(result_row, RESULTS))
    failure = "empty: the object has no bytes"
    write_failures(tmp_path, [Decision("holidays", 0, "empty.jpg", failure=failure)])
    near = Label("Car", 87.0, CAR[0].boxes)
    write_near(tmp_path, [Decision("holidays", 0, "almost.jpg", near=near, known=True)], 90.0)
    return tmp_path


def picture(
    size: tuple[int, int] = (64, 48), kind: str = "JPEG", mode: str = "RGB", **more: Any
) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **more)
    return file.getvalue()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests, with a window of 1280 x 1000."""
    if not CHROMIUM:
        pytest.skip("no browser: apt-get install chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.window(1280, 1000)
        yield browser


class Pictures:
    """Pictures by their keys."""

    def __init__(self, pictures: Mapping[str, bytes]) -> None:
        self._pictures = pictures

    def fetch(self, index: str) -> bytes | None:
        return self._pictures.get(index)


@pytest.fixture(scope="session")
def make_page(tmp_path_factory: pytest.TempPathFactory) -> MakePage:
    """Writes a page of results."""

    def make(
        results: list[Result],
        pictures: Mapping[str, bytes],
        failures: Mapping[str, str] | None = None,
        near: Mapping[str, Label] | None = None,
    ) -> Path:
        folder = tmp_path_factory.mktemp("page")
        write_results(folder, map(result_row, results))
        if failures:
            failed = (Decision("demo", 0, key, failure=why) for key, why in failures.items())
            write_failures(folder, failed)
        if near:
            almost = (Decision("demo", 0, key, near=label) for key, label in near.items())
            write_near(folder, almost, below=90.0)
        page = folder / "report.html"
        files = run_files(folder / "results.jsonl")
        write_report(files, page, Pictures(pictures), most=10_000)
        return page

    return make


def true_result(sample: Sample, number: int) -> Result:
    """What recognisers would say that make no mistakes."""
    boxes = tuple(Box(*box) for box in sample.truth.boxes)
    lines = tuple(
        TextLine(text, 99.0 - line, ((0.1, 0.1), (0.4, 0.1), (0.4, 0.2), (0.1, 0.2)))
        for line, text in enumerate(sample.truth.text)
    )
    time = f"2026-01-02T03:04:{number % 60:02d}.000+00:00"
    return Result("demo", sample.index, (Label("Car", 98.0, boxes),), lines, time=time)


def turned() -> bytes:
    """A picture on its side, which its EXIF turns upright: 400 x 800, with a magenta rectangle."""
    upright = Image.new("RGB", (400, 800), (40, 90, 60))
    upright.paste(MAGENTA, (100, 100, 300, 300))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    # what the EXIF tells to turn clockwise lies counter-clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    """Twenty drawn scenes; those with a car are on the page."""
    return list(sample_images(20))


@pytest.fixture(scope="session")
def page(samples: list[Sample], make_page: MakePage) -> Path:
    """The scenes with a car, a turned picture, one with an evil name and text, three failures.

    And two pictures in which no car is sure enough; of the turned one the text was known.
    """
    results = [true_result(sample, n) for n, sample in enumerate(samples) if sample.truth.car]
    corners = ((0.25, 0.125), (0.75, 0.125), (0.75, 0.375), (0.25, 0.375))
    results += [
        Result("demo", "turned.jpg", (Label("Car", 92.0, (RECTANGLE,)),), known=True),
        Result("demo", EVIL, (Label("Car", 99.5),), (TextLine(EVIL, 81.0, corners),)),
        Result("demo", "gone.jpg", (Label("Car", 96.0),), failure="gone: no longer there"),
    ]
    pictures = {sample.index: sample.data for sample in samples}
    pictures |= {"turned.jpg": turned(), "notes.txt": b"hello"}
    failures = {"empty.jpg": "empty: no bytes", "notes.txt": "wrong format: neither JPEG nor PNG"}
    near = {"almost.jpg": Label("Car", 87.0, (RECTANGLE,)), "hardly.jpg": Label("Car", 55.2)}
    pictures["almost.jpg"] = turned()
    return make_page(results, pictures, failures, near)
