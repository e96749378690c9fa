"""What happens in a demo, one after the other, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from console.report.page import write_report
from console.report.pictures import FolderPictures
from console.report.rows import run_files
from sandbox.aws.rekognition import eyes, model
from sandbox.aws.rekognition.service import knobs
from sandbox.aws.server import Sandbox
from sandbox.demo.board import Board, Verdict, number_of, plain
from sandbox.demo.folder import RUN, DemoFolder, shown, writing
from sandbox.demo.pair import working_pair
from sandbox.demo.screen import FEW_IMAGES, Screen
from sandbox.errors import SandboxError
from sandbox.pictures import find_files, read_files
from sandbox.processes import settings
from sandbox.scenes import Sample, sample_images
from workers.errors import DONE

# Rekognition takes as long; few images are worked on few at a time, so that one can watch
LATENCY_SECONDS, LATENCY_JITTER = 0.4, 0.5
IN_FLIGHT, IN_FLIGHT_OF_FEW = {"label": 16, "text": 16}, {"label": 2, "text": 4}
PROMISE = "A asks what is in each image and puts the cars on the queue; B reads them.\n"
MOST_LINES, MOST_FAILURES = 40, 5


class Demo:
    """One run through it; all that it leaves behind lies in `folder`."""

    def __init__(self, folder: DemoFolder) -> None:
        self.folder = folder
        self._began = time.monotonic()
        self._screen = Screen()

    def run(self, own: Path | None, scenes: int) -> int:
        """Shows it with a person's own folder or with drawn scenes; returns the exit status.

        What an earlier demo left goes only when the pictures are in the bucket.
        """
        screen, folder = self._screen, self.folder
        files = find_files(own, screen.skipped) if own else []
        folder.refuse_own(files)
        self._fetch_model()
        with Sandbox() as sandbox:
            screen.say(f"An AWS of your own is up at {sandbox.endpoint}, on this machine only.")
            samples = [] if own else list(sample_images(scenes))
            drawn = ((sample.index, sample.data) for sample in samples)
            count = self._upload(sandbox, read_files(files, screen.skipped) if own else drawn)
            folder.clear()
            self._keep(samples)
            eyes.warm_up()
            knobs.latency_seconds, knobs.latency_jitter = LATENCY_SECONDS, LATENCY_JITTER
            board = Board(count)
            began = time.monotonic()
            self._work(sandbox, board)
            seconds = time.monotonic() - began
        pictures = FolderPictures(own or folder.images)
        output, of_label = (folder.state(role) / RUN for role in ("text", "label"))
        found = run_files(output / "results.jsonl", [of_label])
        write_report(found, folder.report, pictures)
        return self._report(board, samples, seconds)

    def _fetch_model(self) -> None:
        if not model.is_kept():
            self._screen.say("Fetching the label model with npm, only this once …")
        model.load()

    def _upload(self, sandbox: Sandbox, images: Iterator[tuple[str, bytes]]) -> int:
        keys = []

        def noted() -> Iterator[tuple[str, bytes]]:
            for key, content in images:
                keys.append(key)
                yield key, content

        bucket = sandbox.create_bucket("images", noted())
        if not keys:
            raise SandboxError("none of the files can be read: check the folder's permissions")
        what = f"{keys[0]} … {keys[-1]}" if len(keys) > 1 else keys[0]
        self._screen.say(
            f"Uploaded {number_of(len(keys), 'image')} to s3://{bucket}: {plain(what)}"
        )
        return len(keys)

    def _keep(self, samples: list[Sample]) -> None:
        for sample in samples:
            path = self.folder.images / sample.index
            with writing(path):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(sample.data)

    def _work(self, sandbox: Sandbox, board: Board) -> None:
        queue_url = sandbox.create_queue("index")
        environment = sandbox.environment(**settings(bucket="images", queue_url=queue_url, run=RUN))
        self._screen.say(PROMISE)

        def verdicts(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, Verdict]]:
            for role, line in lines:
                if verdict := board.hear(role, line):
                    yield role, verdict

        in_flight = IN_FLIGHT_OF_FEW if board.images <= FEW_IMAGES else IN_FLIGHT
        with working_pair(self.folder, environment, in_flight) as lines:
            self._screen.follow(board, verdicts(lines))

    def _report(self, board: Board, samples: list[Sample], seconds: float) -> int:
        say = self._screen.say
        lines = self.folder.output("text", "output.txt").read_text().splitlines()
        say(f"output.txt: {number_of(len(lines), 'image')} with a car and text")
        for line in lines[:MOST_LINES] or ["(none)"]:
            say(f"  {line}")
        if len(lines) > MOST_LINES:
            say(f"  … and {len(lines) - MOST_LINES} more")
        say()
        for verdict in board.failed[:MOST_FAILURES]:
            say(f"Could not look at {plain(verdict.index)}: {verdict.text}")
        if more := board.failed[MOST_FAILURES:]:
            say(f"… and at {len(more)} more: see failed.jsonl and results.jsonl")
        wrong = list(_wrong(board, samples, lines))
        for complaint in wrong:
            say(f"Not as drawn: {complaint}")
        if samples and not wrong:
            say(f"All as drawn: {board.counts('label')}; {board.counts('text')}.")
        if board.read_meanwhile:
            say(f"B had read {board.read_meanwhile} of its images before A was done.")
        total = time.monotonic() - self._began
        say(f"It took {total:.1f} s, {seconds:.1f} s of that for the two workers.\n")
        self._tell_files(bool(samples))
        return 1 if wrong else DONE

    def _tell_files(self, drawn: bool) -> None:
        folder = self.folder
        files = {
            folder.report: "all of it as a page, with the pictures: open it in a browser",
            folder.output("text", "output.txt"): "every image with a car and text",
            folder.output("text", "results.jsonl"): "every image with a car, in full",
            folder.output("label", "failed.jsonl"): "images that cannot be looked at",
            folder.output("label", "near.jsonl"): "images with a car that is not sure enough",
            folder.log("label"): "what A said",
            folder.log("text"): "what B said",
        }
        if drawn:
            files[folder.images] = "the drawn scenes"
        width = max(len(str(shown(path))) for path in files)
        for path, what in files.items():
            self._screen.say(f"  {shown(path)!s:<{width}}  {what}")


def _wrong(board: Board, samples: list[Sample], lines: list[str]) -> Iterator[str]:
    """What differs from what was drawn, one sentence for each image."""
    output = dict(line.split(": ", 1) for line in lines)
    for sample in samples:
        index, truth = sample.index, sample.truth
        if (index in board.cars) != truth.car:
            yield f"{index} shows {'a' if truth.car else 'no'} car."
        text = " | ".join(truth.text) if truth.car else ""
        if output.get(index, "") != text:
            yield f"{index} says {text!r}, and was read as {output.get(index, '')!r}."
