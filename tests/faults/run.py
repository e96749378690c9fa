"""One run behind the proxies, and what is found wrong with it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.stub.http import Connection
from bench.stub.rekognition import has_car
from bench.stub.scenario import Scenario, key_of
from bench.stub.server import Server
from tests.faults.hands import Hands
from tests.faults.output import Output, output_of
from tests.faults.plan import PAID, Plan
from tests.faults.proxy import Blow
from tests.faults.worker import Worker

PATIENCE_AN_IMAGE = 0.1
CARS = 0.75


class Run:
    """A run under way."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        scenario = Scenario(
            plan.images,
            cars=CARS,
            image_bytes=2000,
            page=max(5, plan.images // 3),
            rekognition_seconds=plan.rekognition_seconds,
            s3_seconds=0,
            sqs_seconds=0.002,
            dynamodb_seconds=0.002,
        )
        self._server = Server(scenario)
        self._hands = Hands()
        self._workers: list[Worker] = []

    async def to_its_end(self, truth: Output | None) -> list[str]:
        """Runs all of them; returns what is wrong with how it went, and what they have met.

        `truth` is the output of a run without a fault, None where this is the one.
        """
        loop = asyncio.get_running_loop()
        stub = await loop.create_server(lambda: Connection(self._server.handle), "127.0.0.1", 0)
        service = stub.sockets[0].getsockname()
        self._workers = [
            Worker(name, self._plan, self._folder, service, self._hands)
            for name in self._plan.workers
        ]
        async with AsyncExitStack() as proxies:
            proxies.callback(stub.close)
            for worker in self._workers:
                await proxies.enter_async_context(worker.proxy)
                proxies.callback(worker.end)
            problems = await self._work()
        if not problems and not self._plan.stops:
            problems = [*self._differences(truth), *self._overpaid(), *self._missed()]
        return [*problems, *self._story()] if problems else []

    async def _work(self) -> list[str]:
        plan = self._plan
        patience = plan.patience + PATIENCE_AN_IMAGE * plan.images
        until = asyncio.FIRST_COMPLETED if plan.stops else asyncio.FIRST_EXCEPTION
        tasks = [asyncio.create_task(worker.keep()) for worker in self._workers]
        done, late = await asyncio.wait(tasks, timeout=patience, return_when=until)
        for task in late:
            task.cancel()
        problems = [repr(error) for task in done if (error := task.exception())]
        is_over = len(done) >= (1 if plan.stops else len(tasks))
        return problems if problems or is_over else [f"not at its end after {patience:g} s"]

    def _differences(self, truth: Output | None) -> list[str]:
        """Where the output of somebody is not the truth, byte by byte."""
        truth = truth or self._known_truth()
        outputs = [(w, output_of(w.state_dir, w.role)) for w in self._workers]
        there = {
            name for _, output in outputs for name, found in output.items() if found is not None
        }
        # with a machine that another has replaced its files are gone
        replaced = self._plan.each > 1 and any(Blow.CUT.value in w.struck for w in self._workers)
        lacking = [] if replaced else [name for name in truth if name not in there]
        return [f"nobody has {name}" for name in lacking] + [
            f"{name} of {worker.name} is {found!r}, not {truth[name]!r}"
            for worker, output in outputs
            for name, found in output.items()
            # who of a fleet comes when the end is sent writes no list
            if found != truth[name] and not (worker.role == "label" and found is None)
        ]

    def output(self) -> Output:
        """That of the first worker of each kind."""
        return {
            name: content
            for worker in reversed(self._workers)
            for name, content in output_of(worker.state_dir, worker.role).items()
        }

    def _known_truth(self) -> Output:
        """What can be told without a run."""
        found = self.output()
        cars = [key for key in map(key_of, range(self._plan.images)) if has_car(key, CARS)]
        lines = "".join(f"{key}: {key} | AB 123\n" for key in cars)
        return {**found, "output.txt": lines, "failed.jsonl": ""}

    def _overpaid(self) -> list[str]:
        """Calls that were paid for twice though nothing had happened to the first answer."""
        problems = []
        record = self._server.record()
        for role, operation in PAID.items():
            workers = [worker for worker in self._workers if worker.role == role]
            paid, images = record[operation]["paid"], record[operation]["images"]
            lost = sum(worker.proxy.lost[operation] for worker in workers)
            killed = sum(worker.may_have_lost for worker in workers)
            twice = self._hands.twice[role]
            if paid > images + lost + killed + twice:
                problems.append(
                    f"{paid} {operation} were paid for, {images} were due; answers lost: {lost}, "
                    f"in flight at a kill: {killed}, in two workers' hands: {twice}"
                )
        return problems

    def _missed(self) -> list[str]:
        met = {fault for worker in self._workers for fault in worker.proxy.dealt}
        return [f"it did not meet {fault}" for fault in sorted(self._plan.must_meet - met)]

    def _story(self) -> list[str]:
        """What they have met, worker by worker."""
        told = []
        for worker in self._workers:
            told += [f"{worker.name} met {fault}" for fault in worker.proxy.dealt]
            told += [f"{worker.name}: {blow}" for blow in worker.struck]
            told.append(worker.last_words())
        return told


async def run_all(
    plans: Iterable[Plan],
    at_once: int,
    done: Callable[[list[str]], None] = len,
    kept_at: Path | None = None,
) -> list[str]:
    """Runs so many at once; returns what went wrong, each with its plan's name, and tells `done`
    of each run. The files of what went wrong are kept.
    """
    plans = [*plans]
    turn = asyncio.Semaphore(at_once)
    sizes = {plan.images for plan in plans if not plan.stops}
    whole = {
        size: await _run(Plan("without a fault", images=size), None, kept_at) for size in sizes
    }

    async def run(plan: Plan) -> list[str]:
        _, truth = whole.get(plan.images, ([], {}))
        async with turn:
            problems, _ = await _run(plan, truth, kept_at)
        done(problems)
        return problems

    told = [problem for problems, _ in whole.values() for problem in problems]
    return told + [problem for found in await asyncio.gather(*map(run, plans)) for problem in found]


async def _run(plan: Plan, truth: Output | None, kept_at: Path | None) -> tuple[list[str], Output]:
    """What is wrong with a run, in one text, and what it has come to."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(plan, Path(folder))
        problems = await run.to_its_end(truth)
        if problems and kept_at:
            shutil.copytree(folder, kept_at / plan.name.replace(" ", "-"), dirs_exist_ok=True)
        return ["\n  ".join([f"{plan.name}:", *problems])] if problems else [], run.output()
