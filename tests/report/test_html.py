"""The page as a file, as a browser's parser takes it apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import tinyhtml5

from console import command as cli
from console.report.page import write_report
from console.report.rows import run_files
from tests.report.conftest import EVIL, POLYGON, Pictures, picture
from workers.output.rows import SCHEMA_VERSION

HARMLESS = "text"
EVILS = (
    EVIL,
    "</script>",
    "</SCRIPT/",
    "<!--<script>",
    "--></script><script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    "\"'><img src=x onerror=alert(1)>",
    "]]><svg/onload=alert(1)>",
    "&lt;/script&gt;&quot;",
    "{{ rows }}{% raw %}",
)


class Page:
    """What a browser makes of the page: its elements, and each script's text."""

    def __init__(self, text: str) -> None:
        root = tinyhtml5.parse(text, namespace_html_elements=False)
        self.elements: list[Element] = list(root.iter())
        self.scripts = [script.text or "" for script in root.iter("script")]
        self.title = root.findtext("head/title")
        self.rows = json.loads(self.scripts[0])

    @property
    def skeleton(self) -> list[tuple[str, list[str]]]:
        """Every element's name and the names of its attributes."""
        return [(str(element.tag), sorted(element.keys())) for element in self.elements]


def write(folder: Path, **more: Any) -> tuple[str, Page]:
    files = run_files(folder / "results.jsonl")
    write_report(files, folder / "report.html", Pictures({}), **more)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def page_full_of(text: str, folder: Path) -> Page:
    """A page that has the text wherever a run could bring one in."""
    line = {"text": text, "confidence": 90.0, "polygon": POLYGON}
    label = {"name": text, "confidence": 95.0, "boxes": []}
    common = {"schema": SCHEMA_VERSION, "run": text, "index": text}
    row = {**common, "failure": text, "labels": [label], "lines": [line]}
    row["time"] = "2026-01-02T03:04:05+00:00"
    (folder / "results.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    (folder / "near.jsonl").write_text(json.dumps({**common, "near": label, "below": 99}))
    return write(folder)[1]


@pytest.mark.parametrize("evil", EVILS)
def test_a_text_from_anywhere_stays_text(tmp_path: Path, evil: str) -> None:
    page = page_full_of(evil, tmp_path)
    assert page.skeleton == page_full_of(HARMLESS, tmp_path).skeleton
    assert page.title == f"Run {evil}: {evil} and text"
    row = page.rows[1]
    assert (row["i"], row["n"], row["f"], row["l"][0][0]) == (evil,) * 4
    near = page.rows[2]
    assert (near["i"], near["n"], near["u"]) == (evil, evil, 99)
    captions = [element for element in page.elements if element.tag == "figcaption"]
    assert "".join(captions[0].itertext()).startswith(f"{evil} confidence")


def test_every_row_is_in_the_page(folder: Path) -> None:
    _, page = write(folder)
    assert [row["i"] for row in page.rows] == [
        *("1.jpg", "2.jpg", "album/10.jpg", EVIL, "empty.jpg", "almost.jpg")
    ]
    assert page.rows[2]["l"] == [[EVIL, 88.0, [list(point) for point in POLYGON]]]
    # the rows, the page's own, and the thumbnails
    kinds = [element.get("type") for element in page.elements if element.tag == "script"]
    assert kinds == ["application/json", None, "text/plain"]


def test_nothing_is_asked_of_anybody(folder: Path) -> None:
    text, page = write(folder)
    policies = (
        element.get("content")
        for element in page.elements
        if element.get("http-equiv") == "Content-Security-Policy"
    )
    policy = next(policies)
    assert policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for element in page.elements:
        for name in ("src", "href", "action", "srcset"):
            assert (element.get(name) or "#").startswith(("#", "data:"))
        assert element.get("style") is None, "the policy would ignore it"
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)


def test_the_summary_counts_everything_and_the_page_shows_the_first(folder: Path) -> None:
    text, page = write(folder, most=2)
    assert len(page.rows) == 2
    assert "The first 2 of 6 are shown" in text
    counts = dict(zip(*[iter(re.findall(r"<d[td]>([^<]+)</d[td]>", text))] * 2, strict=True))
    assert counts == {
        "images": "6",
        "with text": "2",
        "without text": "1",
        "not sure enough": "1",
        "failed": "2",
        "new in this run": "2",
        "lines of text": "3",
    }


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("")
    assert write(tmp_path)[1].rows == []


def test_the_command_takes_a_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "1.jpg").write_bytes(picture())
    (folder / "pictures" / "2.jpg").write_bytes(b"no picture")
    state = folder / "state" / "holidays"
    state.mkdir(parents=True)
    (folder / "results.jsonl").rename(state / "results.jsonl")
    (folder / "other").mkdir()
    (folder / "near.jsonl").rename("other/near.jsonl")
    places = ["--run=holidays", "--state-dir=state", "--images=pictures"]
    assert cli.main(["report", *places, "--of-label=.", "--of-label=other"]) == 0
    page = Path("state", "holidays", "report.html")
    assert capsys.readouterr().out.startswith(f"{page}: 6 pictures, ")
    entries = Page(page.read_text()).scripts[2].split("\n")
    assert [entry.split(" ")[0] for entry in entries] == [
        *("64", "!unreadable", "!missing", "!missing", "!missing", "!missing"),
        "",
    ]
