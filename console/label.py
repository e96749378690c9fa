"""`cartext label`: worker A."""

from __future__ import annotations

from console.work import work
from workers.label_worker import LabelWorker
from workers.settings import Settings


class LabelSettings(Settings):
    """Worker A: lists the bucket, finds the cars, puts their indexes on the queue.

    example:
      cartext label --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """


SETTINGS = LabelSettings


def run(settings: Settings) -> None:
    """Works until the run is done; raises WorkerError when it ends before that."""
    work(settings, "label", LabelWorker)
