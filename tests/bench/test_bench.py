"""The bench works, in small; what it measures is for `make bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


def bench(folder: Path, *only: str) -> tuple[str, dict[str, Any]]:
    """What a small run prints, and the results that the folder then has."""
    command = ["-m", "bench", "--quick", "--only", *only, "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / "bench.json").read_text())


def test_a_small_run_measures_and_writes_table_json_and_chart(tmp_path: Path) -> None:
    printed, results = bench(tmp_path, "quotas", "texts", "short", "listing", "answers")
    assert "SQS calls a car" in printed
    assert [row["workers"] for row in results["quotas"]] == ["1 + 1", "1 + 1, without TLS"]
    for row in results["quotas"]:
        calls = row["calls"]
        assert row["images"] == 100
        assert calls["Rekognition DetectLabels"] == calls["Rekognition DetectText"] == 100
    (alone,) = results["texts"]
    assert (alone["images"], alone["problems"]) == (300, "")
    assert [(row["images"], row["problems"]) for row in results["short"]] == [(10, ""), (100, "")]
    (listing,) = results["listing"]
    assert (listing["keys"], listing["paid calls"]) == (2010, 10)
    assert [(row["images"], row["paid calls"]) for row in results["answers"]] == [
        (2000, 0),
        (2000, 0),
        (50, 50),
        (50, 50),
    ]
    assert [row["images"] for row in results["costs"]] == [1000, 1_000_000, 10_000_000]
    assert ET.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own

    _, again = bench(tmp_path, "listing")
    assert [row["tables"] for row in again["machine"]] == [
        "quotas, texts, short, answers",
        "listing",
    ]
    assert (again["quotas"], again["costs"]) == (results["quotas"], results["costs"])
    assert ET.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own


def test_a_small_soak_tells_of_each_quarter_and_draws_it(tmp_path: Path) -> None:
    _, results = bench(tmp_path, "soak")
    *quarters, change, whole = results["soak"]
    assert sum(row["images"] for row in quarters) >= whole["images"]
    assert change["A memory MB"] > 0
    assert whole["problems"] == ""
    assert whole["A killed"] + whole["B killed"] == 2
    drawn = ET.parse(tmp_path / "soak.svg").getroot()  # noqa: S314 - our own
    assert len([*drawn.iter("{http://www.w3.org/2000/svg}polyline")]) == 10
