"""The page of a run, as a file; tests/report looks at it in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from tests.unit.fakes import FakeS3, use_clients
from workers import cli
from workers.charts import histogram, timeline
from workers.errors import RunError
from workers.output import write_failures, write_results
from workers.records import Box, Label, LabelDecision, TextLine, TextResult
from workers.report import (
    MISSING,
    UNREADABLE,
    FolderPictures,
    read_rows,
    thumbnails,
    write_report,
)
from workers.rows import result_row

ROOT = Path(__file__).parents[2]
EVIL = "</script ><!--<script >alert('<!--&\u2028\U0001f697')</script>"
CAR = Label("Car", 97.5, (Box(0.1, 0.2, 0.3, 0.4),))
POLYGON = ((0.2, 0.3), (0.4, 0.3), (0.4, 0.4), (0.2, 0.4))
RESULTS = (
    TextResult(
        "holidays",
        "1.jpg",
        CAR,
        (TextLine("ABC 346", 99.2, POLYGON), TextLine("TAXI", 84.0, POLYGON)),
        time="2026-01-02T03:04:05.000+00:00",
    ),
    TextResult("holidays", "2.jpg", CAR, time="2026-01-02T03:04:09.500+00:00"),
    TextResult("holidays", "album/10.jpg", Label("Car", 91.0), (TextLine(EVIL, 88.0, POLYGON),)),
    TextResult("holidays", EVIL, None, failure="gone: the object is no longer in the bucket"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's output."""
    write_results(tmp_path, map(result_row, RESULTS))
    failure = "empty: the object has no bytes"
    write_failures(tmp_path, [LabelDecision("holidays", 0, "empty.jpg", failure=failure)])
    return tmp_path


def picture(
    size: tuple[int, int] = (64, 48), kind: str = "JPEG", mode: str = "RGB", **more: Any
) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **more)
    return file.getvalue()


class Pictures(dict[str, bytes]):
    fetch = dict.get


class Page(HTMLParser):
    """What a browser makes of the page: its elements, and each script's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
            self._in_script = True

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def write(folder: Path, **more: Any) -> tuple[str, Page]:
    write_report(folder / "results.jsonl", folder / "report.html", Pictures(), **more)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_a_key_or_a_text_stays_text(folder: Path) -> None:
    text, page = write(folder)
    assert EVIL not in text
    # the rows, the page's own, and the thumbnails
    assert [attributes.get("type") for tag, attributes in page.elements if tag == "script"] == [
        "application/json",
        None,
        "text/plain",
    ]
    rows = json.loads(page.scripts[0])
    assert [row["i"] for row in rows] == ["1.jpg", "2.jpg", "album/10.jpg", EVIL, "empty.jpg"]
    assert rows[2]["l"] == [[EVIL, 88.0, [list(point) for point in POLYGON]]]


def test_names_of_run_and_label_stay_text(tmp_path: Path) -> None:
    row = {"schema": 1, "run": "<b>{{rows}}", "index": "1.jpg", "failure": None, "lines": []}
    row |= {"label": "<i>&{{style}}", "confidence": 95.0}
    (tmp_path / "results.jsonl").write_text(json.dumps(row) + "\n")
    text, _ = write(tmp_path)
    assert "&lt;b&gt;{{rows}}" in text
    assert "<b>{{" not in text
    assert "<i>&" not in text


def test_nothing_is_asked_of_anybody(folder: Path) -> None:
    text, page = write(folder)
    policy = next(
        attributes["content"]
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
        assert "style" not in attributes, "the policy would ignore it"
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)


def test_the_summary_counts_everything_and_the_page_shows_the_first(folder: Path) -> None:
    text, page = write(folder, most=2)
    assert len(json.loads(page.scripts[0])) == 2
    assert "The first 2 of 5 are shown" in text
    counts = dict(zip(*[iter(re.findall(r"<d[td]>([^<]+)</d[td]>", text))] * 2, strict=True))
    assert counts == {
        "images": "5",
        "with text": "2",
        "without text": "1",
        "failed": "2",
        "lines of text": "3",
    }


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("")
    _, page = write(tmp_path)
    assert json.loads(page.scripts[0]) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1, is not a result"),
        ("[]", "line 1, is not a result"),
        ('{"schema": 1}', "line 1, is not a result"),
        ('{"schema": 2, "run": "a", "index": "1.jpg", "failure": null}', "has schema 2"),
    ],
)
def test_a_file_that_is_not_results_is_said_so(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(RunError, match=problem):
        list(read_rows(path))


# --- pictures -----------------------------------------------------------------------------------


def test_a_folders_pictures_are_found_by_their_keys(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "pictures"
    (folder / "album").mkdir(parents=True)
    (folder / "album" / "1.jpg").write_bytes(b"one")
    pictures = FolderPictures(folder, "photos/")
    assert pictures.fetch("album/1.jpg") == b"one"
    assert pictures.fetch("photos/album/1.jpg") == b"one", "copied without the prefix"
    for key in ("../secret.jpg", "album/../../secret.jpg", str(tmp_path / "secret.jpg")):
        assert pictures.fetch(key) is None
    for key in ("none.jpg", "album", "nul\0.jpg", "x" * 1000, ""):
        assert pictures.fetch(key) is None


def decoded(entry: str) -> Image.Image:
    width, height, data = entry.split(" ")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert opened.size == (int(width), int(height))
    return opened


def test_a_thumbnail_is_small_and_not_made_larger() -> None:
    make = thumbnails(320)
    assert decoded(make(picture((4000, 1000)))).size == (320, 80)
    assert decoded(make(picture((100, 90), "PNG"))).size == (100, 90)


def test_a_jpeg_is_turned_by_its_exif_and_a_png_is_not() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    make = thumbnails(320)
    assert decoded(make(picture((640, 320), exif=exif))).size == (160, 320)
    assert decoded(make(picture((640, 320), "PNG", exif=exif))).size == (320, 160)
    assert not decoded(make(picture((640, 320), exif=exif))).getexif()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "LA"), ("GIF", "P")],
)
def test_every_kind_of_colour_becomes_a_thumbnail(kind: str, mode: str) -> None:
    assert decoded(thumbnails(320)(picture(kind=kind, mode=mode))).mode == "RGB"


def test_what_is_transparent_lies_on_white() -> None:
    assert decoded(thumbnails(320)(picture(kind="PNG", mode="RGBA"))).getpixel((1, 1)) == (255,) * 3


def test_what_is_no_picture_is_said_so() -> None:
    make = thumbnails(320)
    assert make(None) == MISSING
    for data in (b"", b"hello", picture()[:200], b"%!PS-Adobe-3.0 EPSF-3.0"):
        assert make(data) == UNREADABLE


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    make = thumbnails(320)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert make(picture((64, 48), "PNG")) == UNREADABLE


# --- the command --------------------------------------------------------------------------------


def test_the_command_takes_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "1.jpg").write_bytes(picture())
    results = str(folder / "results.jsonl")
    assert cli.main(["report", "--results", results, "--images", str(folder / "pictures")]) == 0
    assert capsys.readouterr().out.startswith(f"{folder / 'report.html'}: 5 pictures, ")
    entries = Page((folder / "report.html").read_text()).scripts[2].split("\n")
    assert [entry.split(" ")[0] for entry in entries] == ["64", *["!missing"] * 4, ""]


def test_the_command_takes_the_bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_clients(monkeypatch, {"s3": FakeS3({"1.jpg": picture(), "2.jpg": b"no picture"})})
    run = folder / "state" / "holidays"
    run.mkdir(parents=True)
    shutil.copy(folder / "results.jsonl", run)
    state = str(folder / "state")
    assert cli.main(["report", "--bucket", "p-1", "--run", "holidays", "--state-dir", state]) == 0
    entries = Page((run / "report.html").read_text()).scripts[2].split("\n")
    assert [entry.split(" ")[0] for entry in entries][:3] == ["64", "!unreadable", "!missing"]


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        ((), "--images"),
        (("--images", "nowhere"), "--images"),
        (("--images", ".", "--results", "none.jsonl"), "--results"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    flags: tuple[str, ...], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", *flags]) == 78
    assert remedy in capsys.readouterr().err


def test_without_pillow_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    results = str(folder / "results.jsonl")
    assert cli.main(["report", "--results", results, "--images", str(folder)]) == 78
    assert "pip install 'cartext[report]'" in capsys.readouterr().err


def test_the_workers_do_without_pillow() -> None:
    code = "import sys; sys.modules['PIL'] = None; import workers.cli"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- charts -------------------------------------------------------------------------------------


def test_every_confidence_is_in_the_histogram() -> None:
    chart = histogram("Car confidence", "images", [90.0, 99.5, 100.0, 84.2])
    said = re.findall(r"<title>([^<]+)</title>", chart)
    assert said == [
        "84 to 85 %: 1 of 4 images",
        "90 to 91 %: 1 of 4 images",
        "99 to 100 %: 2 of 4 images",
    ]
    assert histogram("Car confidence", "images", []) == ""


def test_every_result_is_in_the_time_line() -> None:
    chart = timeline([(1e9 + n, ("text", "without", "failed")[n % 3]) for n in range(100)])
    said = "".join(re.findall(r"<title>([^<]+)</title>", chart))
    assert (
        sum(int(count) for count in re.findall(r"(\d+) with", said))
        + sum(int(count) for count in re.findall(r"(\d+) failed", said))
        == 100
    )
    assert timeline([(1e9, "text")]) == ""
    assert timeline([(1e9, "text"), (1e9, "text")])


# --- what is written can be asked ---------------------------------------------------------------


@pytest.fixture
def schema() -> Any:
    return json.loads((ROOT / "docs" / "results.schema.json").read_text())


def test_results_are_as_the_schema_says(folder: Path, schema: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    rows = list(read_rows(folder / "results.jsonl"))
    assert len(rows) == 4
    for row in rows:
        validator.validate(row)
        assert row.keys() == schema["properties"].keys(), "a field that the schema does not name"


def test_the_schema_refuses_what_is_not_a_result(folder: Path, schema: Any) -> None:
    row = next(iter(read_rows(folder / "results.jsonl")))
    for change in ({"schema": 2}, {"confidence": 101}, {"boxes": [{}]}, {"lines": [{"text": 1}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**row, **change}, schema)


def questions() -> Iterator[tuple[str, str, str]]:
    """Three questions for the README: a name, a jq program, its answer here."""
    yield (
        "where is this plate?",
        'select(any(.lines[]; .text | gsub("[ -]"; "") | contains("ABC346"))) | .index',
        "1.jpg\n",
    )
    yield (
        "what should a person look at again?",
        "select(.confidence < 95 or any(.lines[]; .confidence < 90)) "
        '| [.index, .confidence, (.lines | map(.text) | join(" | "))] | @tsv',
        "1.jpg\t97.5\tABC 346 | TAXI\n" + f"album/10.jpg\t91\t{EVIL}\n" + f"{EVIL}\t\t\n",
    )
    yield (
        "what failed, and why?",
        'select(.failure) | .failure | split(":")[0]',
        "gone\n",
    )


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(("name", "program", "answer"), list(questions()))
def test_jq_answers(folder: Path, name: str, program: str, answer: str) -> None:
    command = ["jq", "-r", program, "results.jsonl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == answer
