"""The lesson shows what docs/class.md says that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.lesson import LATE, Pair, lessons
from sandbox import ROOT
from sandbox.aws.server import Sandbox
from sandbox.errors import SandboxError
from workers.events import End, TextRead, read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lesson")


@pytest.fixture(scope="module")
def lost(folder: Path) -> dict[tuple[str, str], list[str]]:
    return {(what, pair): lost for what, pair, lost in lessons(folder)}


def test_the_page_for_a_class_has_its_lines(lost: dict[tuple[str, str], list[str]]) -> None:
    page = (ROOT / "docs" / "class.md").read_text()
    for what, pair in lost:
        assert f"\n{what:<28} {pair:<8} " in page


def test_without_a_misfortune_nobody_loses_anything(lost: dict[tuple[str, str], list[str]]) -> None:
    assert lost["nothing", "plain"] == lost["nothing", "cartext"] == []


def test_a_plain_pair_loses_what_the_end_overtakes(
    lost: dict[tuple[str, str], list[str]], folder: Path
) -> None:
    assert lost["-1 overtakes 9.jpg", "plain"] == [LATE]
    assert lost["-1 overtakes 9.jpg", "cartext"] == []
    said = [*map(read, (folder / "overtaken/cartext/text/log").read_text().splitlines())]
    (end,) = (at for at, event in enumerate(said) if isinstance(event, End))
    texts = {event.index: at for at, event in enumerate(said) if isinstance(event, TextRead)}
    assert end < texts[LATE], "nothing was overtaken"


def test_a_plain_pair_loses_what_a_killed_b_had_in_memory(
    lost: dict[tuple[str, str], list[str]],
) -> None:
    assert "1.jpg" in lost["B is killed, started again", "plain"]
    assert lost["B is killed, started again", "cartext"] == []


def test_what_one_lesson_leaves_on_its_queue_is_no_other_s(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    pairs = [Pair("plain", sandbox, tmp_path / lesson / "plain") for lesson in ("one", "two")]
    one, two = (pair._environment["CARTEXT_QUEUE_URL"] for pair in pairs)
    assert one != two


def test_a_pair_of_which_one_dies_is_not_waited_for(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.create_bucket("images")
    pair = Pair("cartext", sandbox, tmp_path)
    try:
        pair.start("text", "label")
        pair.kill("label")
        with pytest.raises(SandboxError, match="the label worker ended with -9: see"):
            pair.output()
    finally:
        pair.close()
