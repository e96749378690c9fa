"""`cartext text`: worker B."""

from __future__ import annotations

from console.work import work
from workers.settings import Settings
from workers.text_worker import TextWorker


class TextSettings(Settings):
    """Worker B: takes indexes from the queue, reads the images, writes the output.

    example:
      cartext text --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """


SETTINGS = TextSettings


def run(settings: Settings) -> None:
    """Works until the run is done; raises WorkerError when it ends before that."""
    work(settings, "text", TextWorker)
