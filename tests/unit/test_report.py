"""What the report does before it makes a page; tests/report has the page, and looks at it."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody
from urllib3.exceptions import ReadTimeoutError

from console import command as cli
from console.report import pictures
from console.report.charts import histogram, timeline
from console.report.pictures import BucketPictures, FolderPictures
from console.report.rows import read, read_rows
from tests.unit.conftest import MakeCalls
from tests.unit.fakes import FakeS3, Scripted, client, client_error
from tests.unit.schemas import read_json
from workers.errors import RunError
from workers.settings import Settings

ROOT = Path(__file__).parents[2]


RESULT = {"schema": 2, "run": "a", "index": "1.jpg", "failure": None}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no JSON at character 2"),
        (b"[]", "it is no JSON object"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"schema": 2, "run": "caf\xe9"}', "no UTF-8 at byte 26"),
        (gzip.compress(b"{}", mtime=0), "no UTF-8 at byte 2 .*not packed"),
        (b'{"schema": 1}', "run: Field required"),
        ({"schema": []}, r"its schema is \[\], and this cartext reads 2"),
        ({"schema": 3}, "its schema is 3, and this cartext reads 2"),
        ({"near": {}, "below": 90}, "near.name: Field required"),
        ({"near": {"name": "Car", "confidence": 80, "boxes": []}}, "below: Field required"),
        ({"labels": None}, "labels: Input should be a valid list"),
        ({"labels": [{"name": "Car", "confidence": "97", "boxes": []}]}, "labels.0.confidence"),
        ({"lines": [{"text": 5, "confidence": 97, "polygon": []}]}, "lines.0.text"),
        ({"lines": [{"text": "A", "confidence": 97, "polygon": [[1]]}]}, "lines.0.polygon.0"),
        ({"time": "yesterday"}, "time: .*yesterday"),
        ({"time": "0001-01-01T00:00:00"}, "time: "),
    ],
)
def test_a_file_that_is_not_results_is_said_so(
    tmp_path: Path, line: bytes | dict[str, Any], problem: str
) -> None:
    whole = json.dumps(RESULT).encode()
    broken = line if isinstance(line, bytes) else json.dumps({**RESULT, **line}).encode()
    path = tmp_path / "results.jsonl"
    path.write_bytes(whole + b"\n" + broken)
    with pytest.raises(RunError, match=rf"^{path}, line 2, is not a result: .*{problem}"):
        read([path], 10)


def test_results_that_are_missing_are_named_with_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.jsonl .*--results"):
        list(read_rows(tmp_path / "none.jsonl"))


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


def bucket_pictures(s3: Any, make_calls: MakeCalls, settings: Settings) -> BucketPictures:
    return BucketPictures(s3, make_calls(settings), settings)


def test_a_buckets_pictures_are_its_objects(
    make_calls: MakeCalls, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 3)
    s3 = FakeS3({"1.jpg": b"one", "huge.jpg": b"four"})
    fetch = bucket_pictures(s3, make_calls, settings).fetch
    assert [fetch(key) for key in ("1.jpg", "huge.jpg", "none.jpg")] == [b"one", None, None]


def test_a_picture_whose_download_breaks_is_fetched_again(
    make_calls: MakeCalls, settings: Settings
) -> None:
    class Broken(io.RawIOBase):
        def read(self, _: int = -1) -> bytes:
            raise ReadTimeoutError(None, "/1.jpg", "too slow")

    def reply(stream: Any) -> Any:
        return {"ContentLength": 3, "Body": StreamingBody(stream, 3)}

    answers = Scripted(reply(Broken()), reply(io.BytesIO(b"one")))
    fetch = bucket_pictures(client(get_object=answers), make_calls, settings).fetch
    assert fetch("1.jpg") == b"one"
    assert answers.calls == 2


def test_a_permission_that_is_missing_ends_the_report(
    make_calls: MakeCalls, settings: Settings
) -> None:
    refusing = client(get_object=Scripted(client_error("AccessDenied", 403)))
    with pytest.raises(
        RunError, match=r"no picture can be fetched from .* no access: AccessDenied"
    ):
        bucket_pictures(refusing, make_calls, settings).fetch("1.jpg")


# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--images", "nowhere")])
def test_pictures_that_are_missing_are_named_with_their_remedy(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", *flags]) == 78
    assert "--images" in capsys.readouterr().err


def _folder_with(pictures: int, tmp_path: Path) -> None:
    row = {"schema": 1, "run": "a", "failure": "gone"}
    rows = [json.dumps({**row, "index": f"{n}.jpg"}) for n in range(pictures)]
    (tmp_path / "results.jsonl").write_text("\n".join(rows) + "\n")
    for number in range(pictures):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(2_000_000))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--most", "2"], "2 pictures, "),
        (["--most", "2"], "to show the other 3, about 6.0 MB must be loaded: --most 5"),
        (["--most", "5"], "5 pictures, "),
    ],
)
def test_it_loads_so_many_pictures_and_says_what_the_others_would_take(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _folder_with(5, tmp_path)
    results = str(tmp_path / "results.jsonl")
    assert cli.main(["report", "--results", results, "--images", str(tmp_path), *flags]) == 0
    said = capsys.readouterr().out
    assert told in said
    assert ("must be loaded" in said) is (flags[-1] == "2")


@pytest.mark.parametrize("output", [".", "/", ".."])
def test_a_folder_is_no_page_before_anything_is_read(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(tmp_path / "none.jsonl")
    given = ["--results", results, "--images", str(tmp_path), "--output", output]
    assert cli.main(["report", *given]) == 78
    said = capsys.readouterr().err
    assert said.endswith(f"{output} is no file; give --output the page to write, as report.html\n")


def test_for_programs_it_says_the_same_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _folder_with(5, tmp_path)
    given = ["--results", str(tmp_path / "results.jsonl"), "--images", str(tmp_path)]
    assert cli.main(["report", *given, "--most", "2", "--json"]) == 0
    page = tmp_path / "report.html"
    assert read_json("report", capsys.readouterr().out) == {
        "schema": 1,
        "page": str(page),
        "size": page.stat().st_size,
        "shown": 2,
        "of": 5,
        "size_of_the_others": 6_000_000,
    }


def test_a_thousand_pictures_are_loaded_where_nobody_says_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(FolderPictures, "fetch", lambda _, index: fetched.append(index))
    row = {"schema": 1, "run": "a", "failure": "gone"}
    rows = [json.dumps({**row, "index": f"{n}.jpg"}) for n in range(1500)]
    results = tmp_path / "results.jsonl"
    results.write_text("\n".join(rows) + "\n")
    assert cli.main(["report", "--results", str(results), "--images", str(tmp_path)]) == 0
    assert len(fetched) == 1000
    assert "the other 500" in capsys.readouterr().out


@pytest.mark.parametrize("library", ["PIL", "jinja2"])
def test_without_its_libraries_it_says_what_to_install(library: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from console.command import main; "
    code += f"sys.exit(main(['report', '--images', {str(tmp_path)!r}]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "pip install 'cartext[report]'" in done.stderr
    assert library in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_workers_do_without_its_libraries() -> None:
    code = "import sys; sys.modules.update(PIL=None, jinja2=None); import console.command"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- charts -------------------------------------------------------------------------------------


def test_every_confidence_is_in_the_histogram() -> None:
    chart = histogram("Car confidence", "images", [90.0, 99.5, 100.0, 84.2])
    assert chart
    assert [bar.said for bar in chart.bars if bar.parts] == [
        "84 to 85 %: 1 of 4 images",
        "90 to 91 %: 1 of 4 images",
        "99 to 100 %: 2 of 4 images",
    ]
    assert histogram("Car confidence", "images", []) is None


def test_what_is_no_confidence_does_not_burst_the_histogram() -> None:
    chart = histogram("Car confidence", "images", [-1e300, 50.0, 1e300])
    assert chart
    assert len(chart.bars) == 100
    assert [bool(bar.parts) for bar in chart.bars].count(True) == 3


def test_every_result_is_in_the_time_line() -> None:
    chart = timeline([(1e9 + n, ("text", "without", "failed")[n % 3]) for n in range(100)])
    assert chart
    said = "".join(bar.said for bar in chart.bars if bar.parts)
    assert (
        sum(int(count) for count in re.findall(r"(\d+) with", said))
        + sum(int(count) for count in re.findall(r"(\d+) failed", said))
        == 100
    )
    assert timeline([(1e9, "text")]) is None
    assert timeline([(1e9, "text"), (1e9, "text")])
