"""Whatever happens to a call on its way costs time, and no image, no restart, no second payment."""

from __future__ import annotations

import asyncio

from tests.faults.run import PAID, run_all
from tests.faults.schedules import matrix, schedule, stop

SCHEDULES = 24
# they wait more than they work
AT_ONCE = 16


def test_a_run_ends_with_the_truth_and_a_stop_in_time() -> None:
    plans = [plan for dynamodb in (False, True) for plan in matrix(dynamodb)]
    plans += [stop(role, dynamodb) for role in PAID for dynamodb in (False, True)]
    plans += map(schedule, range(SCHEDULES))
    problems = asyncio.run(run_all(plans, AT_ONCE))
    assert not problems, "\n".join(problems)
