"""The bench works, in small; what it measures is for `make bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


def test_a_small_run_measures_and_writes_table_json_and_chart(tmp_path: Path) -> None:
    command = ["-m", "bench", "--quick", "--only", "quotas", "listing", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SQS calls a car" in done.stdout
    results = json.loads((tmp_path / "bench.json").read_text())
    (pair,) = results["quotas"]
    assert pair["images"] == 100
    calls = pair["calls"]
    assert calls["Rekognition DetectLabels"] == calls["Rekognition DetectText"] == 100
    (listing,) = results["listing"]
    assert (listing["keys"], listing["paid calls"]) == (2010, 10)
    assert [row["images"] for row in results["costs"]] == [1000, 1_000_000, 10_000_000]
    assert ET.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
