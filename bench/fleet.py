"""Runs workers as processes against the stub, and says what they took."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.child import Child, Usage
from bench.stub import PARTS, ROOT, TABLE, Scenario, Stub

ROLES = ("label", "text")
KINDS = (("A", "label", "DetectLabels"), ("B", "text", "DetectText"))
STATE = ROOT / "build" / "bench"
# the workers begin at half their rate and are at the full one after two seconds
RAMP_SECONDS = 3.0
# calls are counted when they are let in, and the last ones of a run are fewer
END_SECONDS = 1.0
QUIET_CORES = 0.1


@dataclass
class Patience:
    """How long a run waits for others to leave the machine alone."""

    seconds: float = 0.0


PATIENCE = Patience()


@dataclass
class Run:
    """A finished run of `labels` + `texts` workers."""

    scenario: Scenario
    seconds: float
    record: dict[str, Any]
    labels: list[Usage]
    texts: list[Usage]
    busy: float = 0.0
    """CPU seconds that the whole machine spent meanwhile."""
    window: tuple[float, float] = (0.0, 0.0)
    started: float = 0.0
    """When the first worker was, in seconds since 1970."""
    written: float = 0.0
    """When output.txt was whole, in seconds since 1970."""
    ended: float = 0.0
    """When the last worker had, in seconds since 1970."""
    problems: list[str] = field(default_factory=list)

    def share_of_quota(self, operation: str) -> float:
        """Calls let in, as a share of the quota, between the ramp and the end."""
        return self.rate(operation) / self.scenario.quota

    def rate(self, operation: str) -> float:
        """Calls a second that were let in between the ramp and the end."""
        first, last = self.window
        taken: int = sum(first <= when < last for when in self.record[operation]["taken"])
        return taken / (last - first)

    @property
    def throttled(self) -> float:
        """Refused calls as a share of all."""
        operations = [self.record[name] for name in ("DetectLabels", "DetectText")]
        refused: int = sum(operation["throttled"] for operation in operations)
        paid: int = sum(operation["paid"] for operation in operations)
        return refused / (refused + paid)

    def calls(self, service: str, per: int) -> float:
        """Calls of a service for each of so many images."""
        counts: dict[str, int] = self.record["calls"]
        return sum(count for name, count in counts.items() if name.startswith(service)) / per

    @property
    def cores(self) -> dict[str, float]:
        """How many cores each was at work on, on average; others are no part of the bench."""
        workers = sum(usage.cpu for usage in self.labels + self.texts)
        stub: float = self.record["cpu"]
        others = max(0.0, self.busy - workers - stub)
        seconds = {"the workers": workers, "the stub": stub, "others": others}
        return {f"cores of {name}": cpu / self.seconds for name, cpu in seconds.items()}

    @property
    def images(self) -> int:
        """How many were looked at."""
        images: int = self.record["DetectLabels"]["images"]
        return images

    @property
    def cars(self) -> int:
        """How many were read."""
        images: int = self.record["DetectText"]["images"]
        return images

    @property
    def to_start(self) -> list[float]:
        """Seconds from A's answer to B's start on the same image: the percentiles 1 to 99."""
        answered, downloads = self.record["DetectLabels"]["answered"], self.record["downloads"]
        return quantiles([downloads[key] - answered[key] for key in downloads], n=100)

    @property
    def to_file(self) -> float:
        """Seconds from the last image's answer to the whole file."""
        answered: dict[str, float] = self.record["DetectText"]["answered"]
        return self.written - max(answered.values())


def run_workers(  # noqa: PLR0913 - what a run can differ in
    scenario: Scenario,
    labels: int = 1,
    texts: int = 1,
    *,
    shared: bool | None = None,
    late_texts: float = 0.0,
    prepare: Callable[[Path], None] | None = None,
    label_module: str = "console",
    **settings: object,
) -> Run:
    """Runs so many workers to their end.

    They share a table when they are more than a pair (or as `shared` says), else each has its own
    SQLite file. The text workers start `late_texts` seconds later; `prepare` gets the state folder
    of the first label worker before that starts, and `label_module` is what a label worker runs.
    """
    shared = labels > 1 or texts > 1 if shared is None else shared
    common = {
        "quota": scenario.quota,
        "state_dir": "state",
        **({"ledger": f"dynamodb://{TABLE}"} if shared else {}),
        **settings,
    }
    wait_for_quiet(PATIENCE.seconds)
    with processes() as children, Stub(scenario) as stub:
        folder = children.folder
        if prepare:
            prepare(folder / "label-0" / "state")
        began, started, busy = time.monotonic(), time.time(), busy_seconds()
        for role, number in (("label", labels), ("text", texts)):
            if role == "text":
                time.sleep(late_texts)
            for worker in range(number):
                parts = {"parts_queue_url": stub.url_of(PARTS)} if shared else {}
                environment = stub.environment(**{**common, **parts})
                module = label_module if role == "label" else "console"
                children.append(
                    Child(role, environment, folder / f"{role}-{worker}", module=module)
                )
        usages = [child.wait() for child in children]
        seconds, ended = time.monotonic() - began, time.time()
        run = Run(
            scenario,
            seconds,
            stub.record(),
            usages[:labels],
            usages[labels:],
            busy_seconds() - busy,
            started=started,
            ended=ended,
        )
        if scenario.images and texts:
            run.window = _window(children, labels)
            run.written = max(output_of(child).stat().st_mtime for child in children[labels:])
            run.problems = _problems(run, children[labels:])
        return run


def wait_for_quiet(seconds: float) -> None:
    """Waits until nothing else is at work on the machine, or so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = busy_seconds()
        time.sleep(5)
        if busy_seconds() - before < 5 * QUIET_CORES:
            return


def busy_seconds() -> float:
    """CPU seconds of all cores since the machine started; 0 where that is not told."""
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, soft, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


class Processes(list[Child]):
    """Processes, and the folder in which each has its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder on the checkout's disk, for as long as it is needed."""
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        yield Path(folder)


@contextmanager
def processes() -> Iterator[Processes]:
    """A list for processes, which do not outlive it."""
    with workshop() as folder:
        children = Processes(folder)
        try:
            yield children
        finally:
            for child in children:
                child.kill()


def _window(children: list[Child], labels: int) -> tuple[float, float]:
    """From when all are at their full rate until the first label worker has no more images."""
    first = max(child.time_of("start") for child in children) + RAMP_SECONDS
    last = min(child.time_of("end") for child in children[:labels]) - END_SECONDS
    # a run that is over before leaves only its own middle
    return (first, last) if last - first > 1 else (first - RAMP_SECONDS, last + END_SECONDS)


def output_of(child: Child) -> Path:
    """The text worker's own output."""
    return child.folder / "state" / "default" / "output.txt"


def _problems(run: Run, texts: list[Child]) -> list[str]:
    """What went wrong though every worker was content."""
    problems = []
    if run.images != run.scenario.images:
        problems.append(f"{run.images} of {run.scenario.images} images were looked at")
    for name in ("DetectLabels", "DetectText"):
        twice = run.record[name]["paid"] - run.record[name]["images"]
        if twice:
            problems.append(f"{twice} calls of {name} were paid for twice")
    problems += [wrong for child in texts if (wrong := wrong_lines(child, run.cars))]
    return problems


def wrong_lines(child: Child, cars: int) -> str | None:
    """What is wrong with a text worker's output, which has a line for each of the cars."""
    lines = output_of(child).read_text().splitlines()
    right = sum(line.split(": ")[1] == line.split(": ")[0] + " | AB 123" for line in lines)
    return None if right == len(lines) == cars else f"{right} of {cars} lines are right"


def run_sequential(scenario: Scenario) -> Run:
    """Runs the two processes of the sequential way to their end."""
    with processes() as children, Stub(scenario) as stub:
        began = time.monotonic()
        for role in ("label", "text"):
            environment, folder = stub.environment(), children.folder / role
            children.append(Child(role, environment, folder, module="bench.sequential"))
        label, text = [child.wait() for child in children]
        record = stub.record()
        taken = record["DetectLabels"]["taken"]
        window = (taken[0], taken[-1])
        seconds = time.monotonic() - began
        return Run(scenario, seconds, record, [label], [text], window=window)
