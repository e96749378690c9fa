"""`cartext runs`: which there are, and letting go of one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from console import command as cli
from console.state_lock import alone
from tests.unit.scene import Scene
from workers.label_worker import LabelWorker
from workers.model import Listed, Part


def runs(scene: Scene, *more: str) -> int:
    return cli.main(["runs", "--state-dir", str(scene.settings.state_dir), *more])


def test_which_there_are(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.images("1.jpg", "2.jpg")
    scene.run("monday")
    scene.start(LabelWorker, run="tuesday")
    scene.ledger.settle("wednesday", {"label": "Car"}).result()
    assert runs(scene) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["run", "looked", "at", "sent", "read"],
        ["monday", "2", "2", "2"],
        # this ledger's label worker is done with it
        ["tuesday", "2", "2", "0"],
        ["wednesday", "0", "0", "0", "not", "finished"],
    ]


def test_what_is_forgotten_is_had_again_for_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.images("1.jpg", "2.jpg").label = {"1.jpg": 95.0, "2.jpg": 12.0}.get
    scene.run("monday")
    scene.run("tuesday")
    before = scene.results("monday")
    assert runs(scene, "--forget", "monday") == 0
    assert capsys.readouterr().out == "run 'monday' is forgotten: 2 images looked at, 1 read\n"
    assert scene.results("monday") == {}
    assert "text of 1.jpg" in (scene.settings.state_dir / "monday" / "output.txt").read_text()
    assert scene.ledger.label_counts("tuesday").decided == 2
    assert scene.ledger.run_end("monday") is None
    assert scene.run("monday") == ([], [])
    assert scene.ledger.label_counts("monday").decided == 2
    assert [row["lines"] for row in scene.results("monday").values()] == [
        row["lines"] for row in before.values()
    ]


def test_nothing_of_it_is_left(scene: Scene) -> None:
    """In no table, whatever a version may add."""
    scene.images("1.jpg")
    scene.run("monday")
    part = Part(2, "1.jpg", "9.jpg", 3)
    scene.ledger.list_parts("monday", [part], Listed(2, 4, "9.jpg")).result()
    scene.ledger.end_part("monday", 2).result()
    scene.ledger.list_parts("monday", [part], Listed(2, 4, "9.jpg")).result()
    scene.ledger.record_foreign_end("monday").result()
    assert runs(scene, "--forget", "monday") == 0
    with sqlite3.connect(scene.settings.state_dir / "ledger.sqlite3") as ledger:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        filled = {name for (name,) in ledger.execute(tables).fetchall() if _has_rows(ledger, name)}
    assert filled == {"answer"}, "what is paid for is no run's"


def _has_rows(ledger: sqlite3.Connection, table: str) -> bool:
    return bool(ledger.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0])  # noqa: S608


def test_what_is_not_there_changes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.images("1.jpg")
    scene.run("monday")
    assert runs(scene, "--forget", "mondya") == 0
    assert capsys.readouterr().out == "there is no run 'mondya', only: monday\n"
    assert scene.ledger.label_counts("monday").decided == 1


def test_nothing_is_forgotten_beside_a_worker(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.images("1.jpg")
    scene.run("monday")
    with alone(scene.settings.state_dir, "text"):
        assert runs(scene) == 0
        assert runs(scene, "--forget", "monday") == 78
    assert "another text worker is at work" in capsys.readouterr().err
    assert scene.ledger.label_counts("monday").decided == 1


def test_where_there_is_nothing_to_forget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["runs", "--state-dir", str(tmp_path / "none")]) == 78
    assert "there is no ledger" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert cli.main(["runs", "--ledger", "dynamodb://cartext-ledger", "--forget", "monday"]) == 78
    assert "does not fill up" in capsys.readouterr().err
