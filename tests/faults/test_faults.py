"""Whatever happens to a call on its way costs time, and no image, no restart, no second payment."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.run import PAID, run_all
from tests.faults.schedules import matrix, schedule, stop

SCHEDULES = 24
AT_ONCE = 12


@pytest.mark.parametrize("dynamodb", [False, True], ids=["sqlite", "dynamodb"])
def test_every_operation_meets_every_fault(dynamodb: bool) -> None:
    problems = asyncio.run(run_all(matrix(dynamodb), AT_ONCE))
    assert not problems, "\n".join(problems)


def test_a_stop_ends_though_nothing_answers_any_more() -> None:
    stops = [stop(role, dynamodb) for role in PAID for dynamodb in (False, True)]
    problems = asyncio.run(run_all(stops, AT_ONCE))
    assert not problems, "\n".join(problems)


def test_generated_schedules() -> None:
    problems = asyncio.run(run_all(map(schedule, range(SCHEDULES)), AT_ONCE))
    assert not problems, "\n".join(problems)
