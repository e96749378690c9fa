"""A worker of a run: it is started again as systemd does it, behind a proxy of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from bench.stub.scenario import BUCKET, PARTS, QUEUE, TABLE
from tests.faults.hands import PART, Hands
from tests.faults.plan import PAID, Plan
from tests.faults.power import Mirror, telling
from tests.faults.proxy import ATTEMPT_SECONDS, Blow, Fault, Proxy

DRAIN_SECONDS = 10.0
LAST_LINES = 8

FORKS = get_context("forkserver")
# all that a worker's process needs, and all that the one that starts it has
FORKS.set_forkserver_preload(["pytest", "tests.faults.__main__", "tests.faults.preload"])


class WorkersLife:
    """From a start of a worker to its end."""

    def __init__(
        self, role: str, process: BaseProcess, hands: Hands, tell: Callable[[Blow], None]
    ) -> None:
        self.role = role
        self.process = process
        self.blows: list[Blow] = []
        self._paid = 0
        self._hands = hands
        self._tell = tell

    @property
    def is_over(self) -> bool:
        return Blow.KILL in self.blows or Blow.CUT in self.blows or not self.process.is_alive()

    def may_have_lost(self, in_flight: int) -> int:
        """How many calls may have been paid for in vain; a second request to stop is an order."""
        return 0 if self.blows in ([], [Blow.STOP]) else min(in_flight, self._paid)

    def strike(self, blow: Blow) -> None:
        if self.process.pid and not self.is_over:
            self.blows.append(blow)
            self._tell(blow)
            stops = blow is Blow.STOP
            os.kill(self.process.pid, signal.SIGTERM if stops else signal.SIGKILL)

    def saw(self, operation: str, request: bytes, answer: bytes) -> None:
        self._paid += operation == PAID[self.role]
        self._hands.saw(self, operation, request, answer)


class EndedError(Exception):
    """A worker has ended, and nobody had asked it to."""


class Worker:
    """One of a run's workers, from life to life."""

    def __init__(
        self, name: str, plan: Plan, folder: Path, service: tuple[str, int], hands: Hands
    ) -> None:
        self.name = name
        self.role = plan.workers[name]
        self.state_dir = folder / name
        self.proxy = Proxy(service, self)
        self.struck: list[str] = []
        """The blows that it had."""
        self._plan = plan
        self._hands = hands
        self._log = folder / f"{name}.log"
        self._mirror = Mirror(self.state_dir, plan.seed) if plan.told else None
        self._lives: list[WorkersLife] = []

    @property
    def life(self) -> WorkersLife:
        return self._lives[-1]

    @property
    def may_have_lost(self) -> int:
        """Calls that were in flight when it was killed, all in all."""
        # asked at the end: what was under way comes to the service after the kill
        in_flight = self._plan.in_flight(self.role)
        return sum(life.may_have_lost(in_flight) for life in self._lives)

    def meets(self, operation: str, number: int) -> Fault | None:
        return self._plan.faults(self.name, operation, number)

    async def keep(self) -> None:
        """Has it at work until it ends with 0; raises EndedError."""
        while True:
            self._start()
            while self.life.process.is_alive():
                await asyncio.sleep(0.02)
            status = self.life.process.exitcode
            if status == 0 or (self._plan.stops and self.life.blows):
                return
            if not self.life.blows:
                raise EndedError(f"{self.name} ended with {status}")
            self._machine_starts()

    def end(self) -> None:
        """Whatever it is at."""
        for life in self._lives:
            life.process.kill()

    def last_words(self) -> str:
        """Of its log."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return "\n".join([f"{self.name}'s last words:", *lines[-LAST_LINES:]])

    def _start(self) -> None:
        self.state_dir.mkdir(exist_ok=True)
        told = self._mirror and self._mirror.journal
        given = (self.role, self._environment(), self._log, self._plan.broken, told)
        process = FORKS.Process(target=work, args=given)
        process.start()
        self._lives.append(
            WorkersLife(
                self.role, process, self._hands, lambda blow: self.struck.append(blow.value)
            )
        )

    def _machine_starts(self) -> None:
        is_cut = Blow.CUT in self.life.blows
        if self._mirror:
            self._mirror.after_life(is_cut)
        elif is_cut and self._plan.each > 1:
            # another machine comes in its place
            shutil.rmtree(self.state_dir)

    def _environment(self) -> dict[str, str]:
        endpoint = self.proxy.endpoint
        settings = {
            "bucket": BUCKET,
            "queue_url": f"{endpoint}/123456789012/{QUEUE}",
            "state_dir": self.state_dir,
            "label_source": self._plan.label_source,
            "in_flight": self._plan.in_flight(self.role),
            "quota": 1000,
            "poll_seconds": 1,
            "visibility_timeout": 3,
            "progress_seconds": 1,
            "log_format": "json",
        }
        if self._plan.dynamodb:
            settings["ledger"] = f"dynamodb://{TABLE}"
            if self.role == "label":
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


def work(
    role: str,
    environment: dict[str, str],
    log: Path,
    broken: Callable[[], None] | None,
    journal: Path | None,
) -> None:
    """A worker's process."""
    from console.command import main  # noqa: PLC0415 - only a worker needs them
    from workers.aws import deadline  # noqa: PLC0415
    from workers.parts import lister  # noqa: PLC0415
    from workers.threads import stop  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    deadline.ATTEMPT_SECONDS = ATTEMPT_SECONDS
    stop.DRAIN_SECONDS = DRAIN_SECONDS
    # so that a few images are several parts
    lister.LEAST_IMAGES = lister.MOST_IMAGES = PART
    if broken:
        broken()
    with telling(journal):
        sys.exit(main([role]))
