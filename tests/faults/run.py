"""One run of the pair behind the proxy: its workers are started again as systemd does it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from bench.stub.http import Connection
from bench.stub.rekognition import has_car
from bench.stub.scenario import BUCKET, PARTS, QUEUE, TABLE, Scenario, key_of
from bench.stub.server import Server
from tests.faults.proxy import ATTEMPT_SECONDS, Choose, Fault, Proxy

PATIENCE_SECONDS = 90.0
PATIENCE_AN_IMAGE = 0.1
DRAIN_SECONDS = 10.0
LAST_LINES = 8
PAID = {"label": "DetectLabels", "text": "DetectText"}

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "tests.faults.run", "tests.faults.preload"])


@dataclass(frozen=True)
class Plan:
    """What a run is like.

    `must_meet` are faults without which it proves nothing; `kills` are signals by role and number
    of its paid call, from 1. One that `stops` is over when a worker has ended as it was asked to.
    """

    name: str
    faults: Choose
    must_meet: frozenset[str] = frozenset()
    kills: dict[tuple[str, int], signal.Signals] = field(default_factory=dict)
    images: int = 12
    stops: bool = False
    dynamodb: bool = False
    label_source: str = "s3"
    label_in_flight: int = 4
    text_in_flight: int = 4
    rekognition_seconds: float = 0.05

    def in_flight(self, role: str) -> int:
        """How many images the worker works on at once."""
        return self.label_in_flight if role == "label" else self.text_in_flight


class Run:
    """A run under way, and what is found wrong with it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._scenario = Scenario(
            plan.images,
            cars=0.75,
            image_bytes=2000,
            page=max(5, plan.images // 3),
            rekognition_seconds=plan.rekognition_seconds,
            s3_seconds=0,
            sqs_seconds=0.002,
            dynamodb_seconds=0.002,
        )
        self._server = Server(self._scenario)
        self._at_work: dict[str, BaseProcess] = {}
        self._killed: Counter[str] = Counter()
        self._asked: set[str] = set()
        self._signals: list[str] = []
        self.problems: list[str] = []

    async def to_its_end(self) -> list[str]:
        """Runs the pair; returns what is wrong with how it went, and the faults that it met."""
        patience = PATIENCE_SECONDS + PATIENCE_AN_IMAGE * self._plan.images
        until = asyncio.FIRST_COMPLETED if self._plan.stops else asyncio.ALL_COMPLETED
        loop = asyncio.get_running_loop()
        stub = await loop.create_server(lambda: Connection(self._server.handle), "127.0.0.1", 0)
        async with Proxy(stub.sockets[0].getsockname(), self._choose) as proxy:
            try:
                workers = [asyncio.create_task(self._keep(role, proxy.endpoint)) for role in PAID]
                done, _ = await asyncio.wait(workers, timeout=patience, return_when=until)
                if len(done) < (1 if self._plan.stops else len(PAID)):
                    self.problems.append(f"not at its end after {patience:g} s")
            finally:
                for worker in workers:
                    worker.cancel()
                for process in self._at_work.values():
                    process.kill()
                stub.close()
            if not self.problems and not self._plan.stops:
                self.problems += self._differences() + self._overpaid(proxy.lost)
                missed = self._plan.must_meet.difference(proxy.dealt)
                self.problems += [f"it did not meet {fault}" for fault in sorted(missed)]
            if not self.problems:
                return []
            return [*self.problems, *proxy.dealt, *self._signals, *map(self._last_words, PAID)]

    def _choose(self, operation: str, number: int) -> Fault | None:
        for role, paid in PAID.items():
            if operation == paid and (role, number) in self._plan.kills:
                self._kill(role, self._plan.kills[role, number])
        return self._plan.faults(operation, number)

    def _kill(self, role: str, number: signal.Signals) -> None:
        process = self._at_work[role]
        if process.pid and process.is_alive():
            # a second SIGTERM forces
            self._killed[role] += number is signal.SIGKILL or role in self._asked
            self._asked.add(role)
            self._signals.append(f"{number.name} to the {role} worker")
            os.kill(process.pid, number)

    async def _keep(self, role: str, endpoint: str) -> None:
        """Has the worker at work until it ends with 0, or with what nobody has asked for."""
        while True:
            process = FORKS.Process(
                target=work, args=(role, self._environment(role, endpoint), self._log(role))
            )
            process.start()
            self._at_work[role] = process
            while process.is_alive():
                await asyncio.sleep(0.02)
            if process.exitcode == 0:
                return
            if self._plan.stops and role in self._asked:
                return
            if role not in self._asked:
                self.problems.append(f"{role} ended with {process.exitcode}")
                return
            self._asked.discard(role)

    def _environment(self, role: str, endpoint: str) -> dict[str, str]:
        settings = {
            "bucket": BUCKET,
            "queue_url": f"{endpoint}/123456789012/{QUEUE}",
            "state_dir": self._folder / role,
            "label_source": self._plan.label_source,
            "in_flight": self._plan.in_flight(role),
            "quota": 1000,
            "poll_seconds": 1,
            "visibility_timeout": 3,
            "progress_seconds": 1,
            "log_format": "json",
        }
        if self._plan.dynamodb:
            settings["ledger"] = f"dynamodb://{TABLE}"
            if role == "label":
                settings["parts_queue_url"] = f"{endpoint}/123456789012/{PARTS}"
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            **{f"CARTEXT_{name.upper()}": str(value) for name, value in settings.items()},
        }

    def _log(self, role: str) -> Path:
        return self._folder / f"{role}.log"

    def _differences(self) -> list[str]:
        """Where the output is not the truth, or an index is there twice."""
        keys = [key_of(n) for n in range(self._plan.images)]
        cars = [key for key in keys if has_car(key, self._scenario.cars)]
        output = self._folder / "text/default"
        rows = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
        failed = (self._folder / "label/default/failed.jsonl").read_text()
        return [
            f"{what} is {found!r}, not {wanted!r}"
            for what, found, wanted in (
                ("output.txt", (output / "output.txt").read_text(), "".join(map(line_of, cars))),
                ("results.jsonl", [row["index"] for row in rows], cars),
                ("its failures", [row for row in rows if row["failure"]], []),
                ("failed.jsonl", failed, ""),
            )
            if found != wanted
        ]

    def _overpaid(self, lost: Counter[str]) -> list[str]:
        """Calls that were paid for twice though nothing had happened to the first answer."""
        problems = []
        record = self._server.record()
        for role, operation in PAID.items():
            paid, images = record[operation]["paid"], record[operation]["images"]
            most = images + lost[operation] + self._killed[role] * self._plan.in_flight(role)
            if paid > most:
                problems.append(f"{paid} {operation} were paid for, {most} at most were due")
        return problems

    def _last_words(self, role: str) -> str:
        log = self._log(role)
        lines = log.read_text().splitlines() if log.exists() else []
        return "\n".join([f"the {role} worker's last words:", *lines[-LAST_LINES:]])


def line_of(key: str) -> str:
    """An image's line in output.txt."""
    return f"{key}: {key} | AB 123\n"


def work(role: str, environment: dict[str, str], log: Path) -> None:
    """A worker's process."""
    from console.command import main  # noqa: PLC0415 - only a worker needs them
    from workers.aws import deadline  # noqa: PLC0415
    from workers.threads import stop  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    deadline.ATTEMPT_SECONDS = ATTEMPT_SECONDS
    stop.DRAIN_SECONDS = DRAIN_SECONDS
    sys.exit(main([role]))


async def run_all(
    plans: Iterable[Plan], at_once: int, done: Callable[[list[str]], None] = len
) -> list[str]:
    """Runs so many at once; returns what went wrong, each with its plan's name, and tells `done`
    of each run.
    """
    turn = asyncio.Semaphore(at_once)

    async def run(plan: Plan) -> list[str]:
        async with turn:
            with tempfile.TemporaryDirectory() as folder:
                problems = await Run(plan, Path(folder)).to_its_end()
        told = ["\n  ".join([f"{plan.name}:", *problems])] if problems else []
        done(told)
        return told

    return [problem for told in await asyncio.gather(*map(run, plans)) for problem in told]
