"""The house: arrows that run one way, modules of one job, and a door for each question."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from sandbox.libraries import MODULES as LOOKED_FOR
from tests.house.doors import assert_leads_somewhere, doors_in

ROOT = Path(__file__).parents[2]
# each may import from those behind it, and from itself
FLOORS = ("tests", "bench", "sandbox", "console", "workers")
MOST_LINES = 300
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for floor in FLOORS
    for path in (ROOT / floor).rglob("*.py")
}


def imported(module: str) -> set[str]:
    """The modules of ours that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found & MODULES.keys()


ARROWS = {module: imported(module) for module in MODULES}


def test_no_arrow_goes_up() -> None:
    floor = {module: FLOORS.index(module.partition(".")[0]) for module in MODULES}
    up = [f"{a} -> {b}" for a, others in ARROWS.items() for b in others if floor[b] < floor[a]]
    assert up == []


def test_no_circle() -> None:
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {error.args[1]}")


def test_unit_tests_need_none_of_the_sandboxs_libraries() -> None:
    """They start at once, and on a machine that has none of these."""
    reached, ahead = set(), {module for module in MODULES if module.startswith("tests.unit.")}
    while ahead:
        reached |= ahead
        ahead = set.union(*(ARROWS[module] for module in ahead)) - reached
    assert not roots(reached) & {"moto", "cv2", "numpy", "onnxruntime", "rapidocr"}


def test_what_is_the_sandboxs_alone_is_looked_for_before_it_begins() -> None:
    """Where one of them is missing, all are installed."""
    of_workers, of_types = {"boto3", "botocore"}, re.compile("mypy_boto3_|_typeshed")
    found = roots(module for module in MODULES if module.startswith("sandbox"))
    libraries = found - sys.stdlib_module_names - set(FLOORS) - of_workers
    assert {name for name in libraries if not of_types.match(name)} <= set(LOOKED_FOR)


def roots(modules: Iterable[str]) -> set[str]:
    """The packages that they import anything of, anybody's."""
    return {
        name.partition(".")[0]
        for module in modules
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([str(node.module)] if isinstance(node, ast.ImportFrom) else _names(node))
    }


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


@pytest.mark.parametrize("floor", FLOORS[1:])
def test_a_long_module_says_why_it_is_one(floor: str) -> None:
    for module, path in MODULES.items():
        text = path.read_text()
        long = module.startswith(floor) and len(text.splitlines()) > MOST_LINES
        assert not long or "One module" in (ast.get_docstring(ast.parse(text)) or ""), module


def doors() -> Iterator[tuple[str, str, str]]:
    """The rows of the table "Where is …?": the question, a file, a name in it."""
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    table = page.partition("## Where is …?")[2].partition("\n## ")[0]
    for question, answer in re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.M)[2:]:
        found = doors_in(answer)
        assert found, f"no door for {question!r}"
        yield from ((question, file, name) for file, name in found)


@pytest.mark.parametrize(("question", "file", "name"), list(doors()))
def test_the_door_is_there(question: str, file: str, name: str) -> None:
    assert_leads_somewhere(ROOT / "docs" / file, name)


def test_the_doors_are_many() -> None:
    assert len({question for question, _, _ in doors()}) >= 12
