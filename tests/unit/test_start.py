"""A start loads what it needs, and no more; a process that has ended looks for no garbage."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console import running, text
from console.command import COMMANDS
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
# what the log's library has for a terminal, where somebody has it; what a worker never needs
FOR_TERMINALS, FOR_OTHERS = {"rich"}, {"jinja2", "PIL"}
PROGRAM = """
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps([name for name, there in sys.modules.items() if there])))
sys.argv[1:] = {given!r}
runpy.run_module("console", run_name="__main__")
"""


def loaded_by(*given: str) -> set[str]:
    """The modules that `cartext` with these words has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(given=given)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("command", ["label", "text"])
def test_a_worker_loads_nothing_of_other_commands(command: str) -> None:
    loaded = loaded_by(command, "--help")
    assert loaded & {each.module for each in COMMANDS.values()} == {COMMANDS[command].module}
    assert not loaded & (FOR_TERMINALS | FOR_OTHERS)


@pytest.mark.parametrize("words", [("--help",), ("--version",)])
def test_what_cartext_says_of_itself_waits_for_no_library(words: tuple[str, ...]) -> None:
    assert not loaded_by(*words) & {"botocore", "pydantic", "structlog"}


def test_while_it_works_garbage_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(running.worker_log, "configure", lambda *_: None)
    monkeypatch.setattr(text, "run", lambda _: seen.append(gc.isenabled()))
    given = ["text", "--bucket=photos", "--queue-url=http://q.test/1/i"]
    gc.disable()
    try:
        assert running.run(given, COMMANDS["text"].settings, COMMANDS["text"].run, False) == 0
    finally:
        gc.enable()
    assert seen == [True]


def test_no_pattern_of_a_setting_repeats_a_class_of_all_unicode() -> None:
    """With 128 of them side by side a class of settings took a hundred times as long to make."""
    for name, field in Settings.model_fields.items():
        pattern = next((each.pattern for each in field.metadata if hasattr(each, "pattern")), "")
        assert r"\w" not in (pattern or ""), name
