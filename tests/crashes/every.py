"""Every state that a crash can leave, tried on all processors; or those that were kept as wrong."""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import structlog

from tests.crashes.pair import Plan
from tests.crashes.plans import PLANS
from tests.crashes.states import State, crashed_again, cuts_after_kills, states, wrong

KEPT_AT = Path("build/crashes")
# a plan's states are divided among so many processes, each of which has recorded a run of its own
PARTS = 8
# after so many first crashes there is one that a second one follows
TWICE = 3


def main() -> int:
    """Returns the exit status: 0 when nothing went wrong."""
    parser = argparse.ArgumentParser("python -m tests.crashes", description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="a state that was kept")
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 1), metavar="N")
    options = parser.parse_args()
    be_quiet()
    for name in [name for name in os.environ if name.startswith("CARTEXT_")]:
        # a person's own settings
        del os.environ[name]
    if options.files:
        return sum(say(pickle.loads(path.read_bytes())) for path in options.files)  # noqa: S301
    shutil.rmtree(KEPT_AT, ignore_errors=True)
    KEPT_AT.mkdir(parents=True)
    began, tried, failed = time.monotonic(), 0, 0
    # a fleet waits, and the others work meanwhile
    jobs = [(plan.name, part) for part in range(PARTS) for plan in PLANS]
    with ProcessPoolExecutor(
        options.at_once, get_context("spawn"), be_quiet, max_tasks_per_child=1
    ) as pool:
        for (name, part), (some, bad) in zip(jobs, pool.map(try_part, jobs), strict=True):
            tried, failed = tried + some, failed + bad
            print(f"{name}, part {part + 1} of {PARTS}: {some} states, {bad} wrong", flush=True)  # noqa: T201
    print(f"{tried} states in {time.monotonic() - began:.0f} s: {failed} went wrong")  # noqa: T201
    return bool(failed)


def be_quiet() -> None:
    """What the workers say is nothing to who watches thousands of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


def try_part(job: tuple[str, int]) -> tuple[int, int]:
    """Tries the states of a plan's part; how many, and how many went wrong."""
    name, part = job
    (plan,) = (plan for plan in PLANS if plan.name == name)
    tried = failed = 0
    for state in of_part(plan, part):
        tried += 1
        if say(state):
            failed += 1
            path = KEPT_AT / f"{name.replace(' ', '-')}-{part}-{tried}.pickle"
            path.write_bytes(pickle.dumps(state))
            print(f"  kept: {path}", flush=True)  # noqa: T201
    return tried, failed


def of_part(plan: Plan, part: int) -> Iterator[State]:
    """Each so many-th state of a plan, and some that a second crash leaves."""
    if part == 0 and not plan.is_fleet:
        yield from cuts_after_kills(plan)
    for number, state in enumerate(islice(states(plan), part, None, PARTS)):
        yield state
        if number % TWICE == 0:
            yield crashed_again(state, number)


def say(state: State) -> bool:
    """Tries a state; whether something was wrong, which it says."""
    problems = wrong(state)
    if problems:
        print("\n  ".join([f"{state}:", *problems]), flush=True)  # noqa: T201
    return bool(problems)
