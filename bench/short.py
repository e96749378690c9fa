"""How long a short run takes, from the start of both processes to the end of both."""

from __future__ import annotations

from statistics import median

from bench.fleet import Run, run_workers
from bench.measures import NO_QUOTA, Rows
from bench.stub import Scenario

# of each; a machine does other things now and then
TIMES = 9


def short(quick: bool) -> Rows:
    """Few images, no quota: what is left beside the calls is the start, the end and the way."""
    for images, call in ((10, 0.5), (100, 0.1)):
        # every call takes exactly as long, so that none of it is chance
        scenario = Scenario(images, NO_QUOTA, rekognition_seconds=call, jitter=0)
        runs = [run_workers(scenario) for _ in range(1 if quick else TIMES)]
        seconds = [run.seconds for run in runs]
        yield {
            "images": images,
            "a call, s": call,
            "seconds": median(seconds),
            "fastest": min(seconds),
            "slowest": max(seconds),
            "to A's first call s": median(map(_to_first_call, runs)),
            "last answer to file s": median(run.to_file for run in runs),
            "file to both ends s": median(run.ended - run.written for run in runs),
            "A CPU s": median(run.labels[0].cpu for run in runs),
            "B CPU s": median(run.texts[0].cpu for run in runs),
            "problems": "; ".join(problem for run in runs for problem in run.problems),
        }


def _to_first_call(run: Run) -> float:
    taken: list[float] = run.record["DetectLabels"]["taken"]
    return taken[0] - run.started
