"""What a plain pair loses, and this one does not: `python -m bench.lesson`, or `make lesson`.

Both go over the same ten drawn scenes in the sandbox, each time with the same misfortune.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox import ROOT
from sandbox.aws.rekognition import eyes, model
from sandbox.aws.rekognition.service import counts, knobs, reset_counts
from sandbox.aws.server import Sandbox
from sandbox.demo.folder import shown
from sandbox.errors import SandboxError
from sandbox.processes import settings, start
from sandbox.scenes import sample_images
from sandbox.signals import leave_on_signals
from workers.errors import DO_NOT_START_AGAIN
from workers.index_queue.messages import END_MARK
from workers.model import natural_key

PAIRS = {"plain": "bench.sequential", "cartext": "console"}
# in the order of the listing it is the last car: the end comes right behind it
LATE = "9.jpg"
READ_BEFORE_THE_KILL = 3
# seconds: of a call, so that a kill meets one, and until a killed worker's messages come again
LATENCY, HIDDEN = 0.4, 5


class Pair:
    """A and B as processes on a queue of their own; what they say and write lies in `folder`."""

    def __init__(self, name: str, sandbox: Sandbox, folder: Path) -> None:
        self._module = PAIRS[name]
        self._folder = folder
        self._environment = sandbox.environment(
            **settings(
                bucket="images",
                # what one lesson leaves there is no other's
                queue_url=sandbox.create_queue("-".join(folder.parts[-2:])),
                run="lesson",
                state_dir="state",
                in_flight=2,
                visibility_timeout=HIDDEN,
            )
        )
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *roles: str) -> None:
        """Starts workers; one that is started once more goes on in the same folder."""
        for role in roles:
            folder = self._folder / role
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log").open("ab") as log:
                self._running[role] = start(
                    role, self._environment, module=self._module, cwd=folder, stdout=log, stderr=log
                )

    def kill(self, role: str) -> None:
        """Ends a worker as a power cut does."""
        self._running[role].kill()
        self._running[role].wait()

    def ended(self) -> bool:
        """Whether both are at their end. Raises SandboxError for one that failed."""
        statuses = {role: process.poll() for role, process in self._running.items()}
        for role, status in statuses.items():
            if status:
                raise SandboxError(f"the {role} worker ended with {status}: see {self._folder}")
        return None not in statuses.values()

    def output(self) -> set[str]:
        """The indexes in `output.txt`, when both have ended."""
        while not self.ended():
            time.sleep(0.05)
        (output,) = self._folder.glob("text/**/output.txt")
        return {line.partition(": ")[0] for line in output.read_text().splitlines()}

    def close(self) -> None:
        """Ends what still runs."""
        for role in self._running:
            self.kill(role)


def nothing(pair: Pair, _: Sandbox) -> None:
    """A and B side by side."""
    pair.start("text", "label")


def overtaken(pair: Pair, sandbox: Sandbox) -> None:
    """The queue hands out the end before the last car."""
    sandbox.overtaken[LATE] = END_MARK
    pair.start("text", "label")


def killed(pair: Pair, _: Sandbox) -> None:
    """B dies with images done and others in hand, and is started again."""
    pair.start("text", "label")
    while counts()["DetectText"]["good"] < READ_BEFORE_THE_KILL and not pair.ended():
        time.sleep(0.02)
    pair.kill("text")
    pair.start("text")


MISFORTUNES = {
    "nothing": nothing,
    f"{END_MARK} overtakes {LATE}": overtaken,
    "B is killed, started again": killed,
}


def lessons(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Misfortune, pair, and the images with a car and text that its output lacks."""
    samples = list(sample_images())
    wanted = {sample.index for sample in samples if sample.truth.car and sample.truth.text}
    model.load()
    with Sandbox() as sandbox:
        sandbox.create_bucket("images", ((sample.index, sample.data) for sample in samples))
        eyes.warm_up()
        knobs.latency_seconds = LATENCY
        for what, happens in MISFORTUNES.items():
            for name in PAIRS:
                reset_counts()
                sandbox.overtaken.clear()
                pair = Pair(name, sandbox, folder / happens.__name__ / name)
                try:
                    happens(pair, sandbox)
                    lost = wanted - pair.output()
                finally:
                    pair.close()
                yield what, name, sorted(lost, key=natural_key)


def main() -> int:
    """Says what each pair has lost; returns 1 when ours has."""
    argparse.ArgumentParser("python -m bench.lesson", description=__doc__).parse_args()
    folder = ROOT / "build" / "lesson"
    leave_on_signals()
    shutil.rmtree(folder, ignore_errors=True)
    failed = False
    try:
        print(f"{'what happens':<28} {'pair':<8} not in output.txt")
        for what, name, lost in lessons(folder):
            failed |= name == "cartext" and bool(lost)
            print(f"{what:<28} {name:<8} {' '.join(lost) or '-'}", flush=True)
    except SandboxError as error:
        print(f"lesson: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    print(f"What they said and wrote is in {shown(folder)}.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
