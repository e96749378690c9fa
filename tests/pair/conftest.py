"""The workers as processes, as systemd starts them, against the sandbox."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from sandbox.aws.server import Sandbox
from sandbox.scenes import Sample, sample_images

PATIENCE = 120


class Worker(processes.Worker):
    """A worker's process, and what one does to it."""

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Asks it to stop; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait_for(self, event: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Waits until it logs this event (or ends, which fails), and returns the line."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ended = self.process.poll() is not None
            for line in self.events:
                if line["event"] == event:
                    return line
            assert not ended, f"it ended without {event!r}: {self.log.read_text()}"
            time.sleep(0.02)
        raise AssertionError(f"no {event!r} in {seconds} s: {self.log.read_text()}")


@dataclass
class Fleet:
    """One run's bucket, queue and workers."""

    sandbox: Sandbox
    folder: Path
    bucket: str = "photos"
    queue: str = ""
    started: list[Worker] = field(default_factory=list)

    def start(self, role: str, **settings: object) -> Worker:
        """Starts a worker; its state folder stays the same from start to start."""
        values = {
            "bucket": self.bucket,
            "queue_url": self.queue,
            "state_dir": self.folder / role,
            "run": "test",
            "progress_seconds": 1,
            "poll_seconds": 1,
            "visibility_timeout": 5,
            **settings,
        }
        environment = self.sandbox.environment(**processes.settings(**values))
        worker = Worker(role, environment, self.folder / f"{role}.{len(self.started)}.log")
        self.started.append(worker)
        return worker

    def run_pair(self, **settings: object) -> tuple[Worker, Worker]:
        """Runs both workers to their end, in parallel, and returns them, A first."""
        pair = self.start("label", **settings), self.start("text", **settings)
        for worker in pair:
            worker.wait()
        return pair

    def output(self, name: str = "output.txt", run: str = "test") -> str:
        """A file of the text worker's output."""
        return (self.folder / "text" / run / name).read_text(encoding="utf-8")

    def results(self, run: str = "test") -> dict[str, dict[str, Any]]:
        """results.jsonl by index; an index that is there twice is an error."""
        rows = [json.loads(line) for line in self.output("results.jsonl", run).split("\n") if line]
        by_index = {row["index"]: row for row in rows}
        assert len(by_index) == len(rows), "an index is in the results twice"
        return by_index

    def failures(self, run: str = "test") -> dict[str, str]:
        """failed.jsonl of the label worker: reason by index."""
        text = (self.folder / "label" / run / "failed.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.split("\n") if line]
        return {row["index"]: row["failure"] for row in rows}


def told_apart(sample: Sample, number: int) -> bytes:
    """The scene as a picture of its own: another ETag, and nothing else to be seen."""
    return sample.data + f" {number}".encode()


@pytest.fixture
def fleet(sandbox: Sandbox, tmp_path: Path) -> Iterator[Fleet]:
    """A queue, and workers that end with the test."""
    running = Fleet(sandbox, tmp_path, queue=sandbox.create_queue("index"))
    yield running
    for worker in running.started:
        worker.kill()


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    """The ten drawn scenes."""
    return list(sample_images(10))


@pytest.fixture(scope="session")
def truth(samples: list[Sample]) -> Callable[[Sample], str | None]:
    """The line of output.txt that a sample must give, without the index."""

    def line(sample: Sample) -> str | None:
        texts = sample.truth.text
        return " | ".join(texts) if sample.truth.car and texts else None

    return line
