"""What is measured: each function makes its runs and gives the rows of one table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from bench.child import Child
from bench.cost import HOUR, MILLION, dollars_by_service, table_for_a_million
from bench.fleet import (
    END_SECONDS,
    RAMP_SECONDS,
    ROLES,
    Run,
    processes,
    run_sequential,
    run_workers,
    workshop,
    wrong_lines,
)
from bench.report import Row, text_of
from bench.stub import Scenario, Stub
from bench.stub.scenario import key_of
from workers.ledger import SqliteLedger
from workers.model import Decision, Listed

Rows = Iterator[Row]

RUN_SECONDS = 30
# a quota that nobody reaches: the machine is the limit
NO_QUOTA = 1e6


def quotas(quick: bool) -> Rows:
    """A pair at the quotas that accounts have, and a fleet at 1,000 calls a second."""
    for quota, workers, seconds, tls in (
        (5, 1, 40, True),
        (50, 1, 30, True),
        (50, 1, 30, False),
        (250, 1, 30, True),
        (250, 1, 30, False),
        (1000, 4, 10, True),
    ):
        if quick and quota != 50:
            continue
        scenario = Scenario(100 if quick else quota * seconds, quota, tls=tls)
        # a pair at 250 needs all that a process can do, which others on the same machine change
        times = 3 if quota == 250 else 1
        runs = [run_workers(scenario, workers, workers) for _ in range(times)]
        said = f"{workers} + {workers}" + ("" if tls else ", without TLS")
        yield {"quota": quota, "workers": said, **_middle(runs)}
    if not quick:
        # whoever starts B later gives it a backlog, which lasts until A has no more images
        run = run_workers(Scenario(50 * 30, 50), late_texts=10)
        yield {"quota": 50, "workers": "1 + 1, B 10 s late", **_speed(run)}
        run = run_workers(Scenario(250 * 30, 250, image_bytes=10_000))
        yield {"quota": 250, "workers": "1 + 1, images of 10 kB", **_speed(run)}
        run = run_workers(Scenario(50 * 30, 50, cars=0.3))
        yield {"quota": 50, "workers": "1 + 1, 30 % cars", **_speed(run)}


def texts(quick: bool) -> Rows:
    """A text worker by itself, behind a queue that was filled before: what an instance can do."""
    for quota, seconds in ((50, 6),) if quick else ((250, RUN_SECONDS), (400, RUN_SECONDS)):
        scenario = Scenario(quota * seconds, quota)
        with processes() as children, Stub(scenario) as stub:
            for role in ROLES:
                before = stub.record()
                environment = stub.environment(quota=quota, state_dir="state")
                children.append(Child(role, environment, children.folder / role))
                used = children[-1].wait()
            text, record = children[-1], stub.record()
            first, problem = (
                text.time_of("start") + RAMP_SECONDS,
                wrong_lines(text, scenario.images),
            )
        window = first, record["DetectText"]["taken"][-1] - END_SECONDS
        run = Run(scenario, used.seconds, record, [], [used], window=window)
        yield {
            "quota": quota,
            "images": scenario.images,
            "share of quota": run.share_of_quota("DetectText"),
            "CPU ms an image": used.cpu / scenario.images * 1000,
            "memory MB": used.memory,
            "cores of the worker": used.cpu / used.seconds,
            "cores of the stub": (record["cpu"] - before["cpu"]) / used.seconds,
            "problems": problem or "",
        }


def _middle(runs: Sequence[Run]) -> Row:
    """The run with the middle one of B's shares, and what that was in each."""
    runs = sorted(runs, key=lambda run: run.share_of_quota("DetectText"))
    row = _speed(runs[len(runs) // 2])
    row["problems"] = "; ".join(problem for run in runs for problem in run.problems)
    if len(runs) > 1:
        shares = (text_of("share", run.share_of_quota("DetectText")) for run in runs)
        row["B share, each run"] = ", ".join(shares)
    return row


def _speed(run: Run) -> Row:
    wait = run.to_start
    others = sum(run.calls(service, run.images) for service in ("S3", "DynamoDB")) - (
        run.record["calls"]["S3 GetObject"] / run.images
    )
    return {
        "images": run.images,
        "seconds": run.seconds,
        "A images/s": run.rate("DetectLabels"),
        "B images/s": run.rate("DetectText"),
        "A share of quota": run.share_of_quota("DetectLabels"),
        "B share of quota": run.share_of_quota("DetectText"),
        "throttled": run.throttled,
        "SQS calls a car": run.calls("SQS", run.cars),
        "other calls an image": others,
        "A to B p50 ms": wait[49] * 1000,
        "A to B p99 ms": wait[98] * 1000,
        "last to file s": run.to_file,
        "A CPU ms an image": sum(usage.cpu for usage in run.labels) / run.images * 1000,
        "B CPU ms an image": sum(usage.cpu for usage in run.texts) / run.cars * 1000,
        "memory MB": max(usage.memory for usage in run.labels + run.texts),
        **run.cores,
        "problems": "; ".join(run.problems),
        "calls": run.record["calls"],
        "units": run.record["units"],
    }


def sequential(quick: bool) -> Rows:
    """The pair and the sequential way, at the same time, each with 50 calls/s and 500 ms."""
    ways: dict[str, Callable[[], Run]] = {
        "this pair": partial(
            run_workers, Scenario(100 if quick else 1500, 50, rekognition_seconds=0.5)
        ),
        "one at a time": partial(
            run_sequential, Scenario(8 if quick else 60, 50, rekognition_seconds=0.5)
        ),
    }
    runs = _at_once(ways)
    slow = runs["one at a time"]
    for way, run in runs.items():
        yield {
            "way": way,
            "images": run.images,
            "seconds": run.seconds,
            "images/s": run.rate("DetectLabels"),
            "times as fast": run.rate("DetectLabels") / slow.rate("DetectLabels"),
            "times, start and end included": run.images / run.seconds * slow.seconds / slow.images,
            "SQS calls a car": run.calls("SQS", run.cars),
            "problems": "; ".join(run.problems),
        }


def _at_once(functions: dict[str, Callable[[], Run]]) -> dict[str, Run]:
    runs: dict[str, Run] = {}

    def keep(name: str) -> None:
        runs[name] = functions[name]()

    threads = [threading.Thread(target=keep, args=(name,)) for name in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: runs[name] for name in functions}


def sizes(quick: bool) -> Rows:
    """CPU time and memory of each worker by the number of images, as fast as the machine can."""
    start: Run | None = None
    for images in (0, 100) if quick else (0, 1000, 10_000, 100_000):
        run = run_workers(Scenario(images, NO_QUOTA), in_flight=100)
        # starting takes its time once, whatever the number of images
        start = start or run
        row: Row = {"images": images, "seconds": run.seconds}
        for name, usages, before in (
            ("A", run.labels, start.labels),
            ("B", run.texts, start.texts),
        ):
            row[f"{name} CPU s"] = usages[0].cpu
            if images:
                row[f"{name} CPU ms an image"] = (usages[0].cpu - before[0].cpu) / images * 1000
            row[f"{name} memory MB"] = usages[0].memory
        if images:
            row["images/s"] = images / run.seconds
            row["last to file s"] = run.to_file
        row["problems"] = "; ".join(run.problems)
        yield row


def listing(quick: bool) -> Rows:
    """A starts again over a bucket of which all but the last thousand images are decided."""
    decided, new = (2000, 10) if quick else (9_000_000, 1000)
    scenario = Scenario(decided + new, NO_QUOTA, s3_seconds=0.25)
    run = run_workers(scenario, texts=0, in_flight=100, prepare=partial(_decide, decided))
    (label,) = run.labels
    yield {
        "keys": scenario.images,
        "decided before": decided,
        "first paid call after s": run.record["DetectLabels"]["taken"][0] - run.started,
        "seconds": run.seconds,
        "A CPU s": label.cpu,
        "A memory MB": label.memory,
        "paid calls": run.images,
    }


def _decide(images: int, state_dir: Path) -> None:
    """Writes the ledger of an earlier start."""
    with closing(SqliteLedger(state_dir / "ledger.sqlite3")) as ledger:
        decisions = (Decision("default", 1, key_of(number)) for number in range(images))
        while some := list(islice(decisions, 10_000)):
            ledger.decide(some).result()
        listed = Listed(images // 1000, images, key_of(images - 1))
        ledger.list_parts("default", [], listed).result()


def parts(quick: bool) -> Rows:
    """Where an image's CPU time goes, in milliseconds."""
    scenario = Scenario(1_000_000, NO_QUOTA, rekognition_seconds=0, s3_seconds=0, sqs_seconds=0)
    with workshop() as folder, Stub(scenario) as stub:
        done = subprocess.run(
            [sys.executable, "-m", "bench.parts", "50" if quick else "1000"],
            env=stub.environment(),
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
        )
    found = json.loads(done.stdout)
    for name, milliseconds in found["milliseconds"].items():
        shares = found["shares"].get(name.partition(" ")[2], {})
        yield {"part": name, "CPU ms an image": milliseconds, **shares}


def scale(quick: bool) -> Rows:
    """More workers of each kind at a quota that grows with them, one queue, one ledger table."""
    quota, one = 20, 0.0
    for workers in (1, 2) if quick else (1, 2, 4, 8):
        images = quota * workers * (4 if quick else RUN_SECONDS)
        run = run_workers(Scenario(images, quota * workers), workers, workers, shared=True)
        rate = run.rate("DetectText")
        one = one or rate
        speed = {"workers": workers, "quota": quota * workers, "speed-up": rate / one}
        yield {**speed, **_speed(run), **table_for_a_million(run.record["units"], images)}


def costs(measured: list[Row]) -> Rows:
    """Dollars by the calls that `quotas` has measured: every image has a car and is read."""
    by_quota = {row["quota"]: row for row in reversed(measured) if row["workers"][-1] in "14"}
    for quota, row in sorted(by_quota.items()):
        workers = int(row["workers"][0])
        for images in (1000, MILLION, 10 * MILLION):
            seconds = images / (quota * row["A share of quota"])
            parts = dollars_by_service(row, images, seconds, instances=2 * workers)
            yield {
                "images": images,
                "quota": quota,
                "workers": row["workers"],
                "hours": seconds / HOUR,
                **parts,
                "dollars": sum(parts.values()),
            }


def machine() -> Row:
    """What all of this ran on."""
    return {
        "cores": os.cpu_count(),
        "Python": platform.python_version(),
        "a loop, s": min(timeit.repeat("sum(n * n for n in range(10**7))", number=1, repeat=3)),
        "load before": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }
