"""Whoever reads the logs knows the events by the names and fields by which they are written."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from workers import events
from workers.events import (
    End,
    Event,
    Failed,
    Known,
    Labelled,
    NotLabelled,
    Stopped,
    TextRead,
    read,
    say,
)

ROOT = Path(__file__).parents[2]
EXAMPLES: list[Event] = [
    Labelled("1.jpg", "Car", 98.7, 250),
    NotLabelled("2.jpg", 250, "Car 87 %, below 90"),
    Known(1000, 12),
    TextRead("1.jpg", "RTY377", 300),
    Failed("3.jpg", "gone: it is", 12),
    End("-1", 7),
    Stopped("no answer", 75),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_what_is_said_is_what_is_read(event: Event, said: list[dict[str, Any]]) -> None:
    say(event)
    assert read(json.dumps({"run": "r", "worker": "here", **said[0]})) == event


def test_there_is_an_example_of_every_event() -> None:
    assert {type(event) for event in EXAMPLES} == set(events.KINDS.values())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback",
        "[]",
        "null",
        "7",
        '{"event":"progress"}',
        '{"event":["end"]}',
        '{"event":"end"}',
    ],
)
def test_another_line_is_no_event(line: str) -> None:
    assert read(line) is None


def test_the_ansible_module_knows_the_lines_that_sum_up() -> None:
    """It runs on the hosts by itself, and so has the names once more."""
    module = ast.parse((ROOT / "ansible" / "library" / "worker_state.py").read_text())
    values = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert ast.literal_eval(values["SUMMARY_EVENTS"]) == events.SUMS_UP
    assert events.ALREADY_FINISHED == "already finished"
