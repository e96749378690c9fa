"""Whatever happens to a call on its way, and to who asks, costs time, and no image, no second
payment but of what was in flight.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from tests.faults import broken
from tests.faults.blows import Moment
from tests.faults.plan import PAID, Plan
from tests.faults.power import Mirror, telling
from tests.faults.run import run_all
from tests.faults.schedules import crossed, matrix, schedule, stop
from workers.output.files import sync_folder

SCHEDULES = 8
# they wait more than they work
AT_ONCE = 16


def test_a_run_ends_with_the_truth_and_a_stop_in_time() -> None:
    # those that wait longest begin first
    plans = [crossed(moment, each) for each in (2, 1) for moment in Moment]
    plans += [plan for dynamodb in (False, True) for plan in matrix(dynamodb)]
    plans += [stop(role, dynamodb) for role in PAID for dynamodb in (False, True)]
    plans += map(schedule, range(SCHEDULES))
    problems = asyncio.run(run_all(plans, AT_ONCE))
    assert not problems, "\n".join(problems)


def test_what_is_broken_is_found() -> None:
    found = asyncio.run(run_all(broken.PLANS, AT_ONCE))
    first_lines = ["".join(problem.splitlines()[:2]) for problem in found]
    said = dict(line.split(":  ", 1) for line in first_lines)
    assert said.keys() == {plan.name for plan in broken.PLANS}
    assert "not at its end" in said.pop("deletes_before_the_commit")
    assert all("were paid for" in problem for problem in said.values()), said


def test_nothing_is_found_where_nothing_is_broken() -> None:
    right = (replace(plan, broken=None, patience=Plan.patience) for plan in broken.PLANS)
    assert asyncio.run(run_all(right, AT_ONCE)) == []


def test_a_power_cut_takes_what_is_not_synced(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    mirror = Mirror(folder, broken.ALL_IS_GONE)
    with telling(mirror.journal):
        for name in ("kept", "lost"):
            (folder / name).write_text(name)
        with (folder / "kept").open() as file:
            os.fsync(file.fileno())
        sync_folder(folder)
    mirror.after_life(is_cut=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"kept": "kept"}
