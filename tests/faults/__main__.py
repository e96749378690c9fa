"""`python -m tests.faults`: 1,000 schedules and two storms, or those whose seeds are given."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.faults.run import run_all
from tests.faults.schedules import schedule, storm

SCHEDULES = 1000
STORMS = (1, 2)
# the logs and the files of what goes wrong
KEPT_AT = Path("build/faults")


def main() -> int:
    """Returns the exit status: 0 when every run went well."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", metavar="SEED", help="of a schedule")
    parser.add_argument("--storm", type=int, action="append", metavar="SEED", default=[])
    parser.add_argument("--at-once", type=int, default=16, metavar="N", help="default: 16")
    options = parser.parse_args()
    everything = not (options.seeds or options.storm)
    storms = [storm(seed) for seed in (STORMS if everything else options.storm)]
    plans = [schedule(seed) for seed in (range(SCHEDULES) if everything else options.seeds)]
    done = 0

    def say(problems: list[str]) -> None:
        nonlocal done
        done += 1
        for problem in problems:
            print(problem, flush=True)  # noqa: T201
        if done % 20 == 0:
            print(f"{done} of {len(plans)} schedules", flush=True)  # noqa: T201

    # a storm has the machine to itself
    problems = asyncio.run(run_all(storms, 1, say, KEPT_AT))
    done = 0
    problems += asyncio.run(run_all(plans, options.at_once, say, KEPT_AT))
    print(f"{len(storms)} storms, {len(plans)} schedules: {len(problems)} went wrong")  # noqa: T201
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
