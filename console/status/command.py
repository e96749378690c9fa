"""`cartext status`: how far a run is, read beside its workers."""

from __future__ import annotations

import json
import os
import sys

from pydantic import Field

from console.status.look import Looker
from console.status.model import Status
from console.status.queue import QueueLook
from console.status.render import as_dict, as_text
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import RunError
from workers.images.bucket import Bucket
from workers.settings import Settings
from workers.threads.stop import Stop

# a person waits for the queue's counters: what does not answer at once is unknown
AT_ONCE_SECONDS = 0.01
NEW_SCREEN = "\x1b[H\x1b[2J\x1b[3J"


class StatusSettings(Settings):
    """Says how far a run is; it reads the ledger of `--state-dir`, also beside a running worker.

    example:
      cartext status --state-dir /var/lib/cartext --run holidays --watch
      ssh HOST cartext status --json
    """

    bucket: str = Field("", description="if given, listed to know how many images there are")
    queue_url: str = Field("", description="if given, its counters are shown")
    watch: bool = Field(False, description="look again every 2 s until the run is finished")
    as_json: bool = Field(
        False, validation_alias="json", description="print JSON; with --watch one line a look"
    )


SETTINGS = StatusSettings


def run(settings: StatusSettings) -> None:
    """Prints one status, or with `watch` one after the other until the run is finished."""
    stop = Stop()
    looker = Looker(settings, *_aws(settings, stop))
    try:
        for status in looker.watch() if settings.watch else [looker.look_twice()]:
            _show(status, settings)
    finally:
        # the listing in the background is waited for no longer, nor is what it hangs in
        stop.drained_by = 0.0
        stop.ask()


def _aws(settings: Settings, stop: Stop) -> tuple[QueueLook | None, Bucket | None]:
    """The queue and the bucket that are named; without a region the ledger alone has to tell."""
    url, name = settings.queue_url, settings.bucket
    if not (url or name):
        return None, None
    try:
        sqs, cloudwatch, s3 = make_clients(settings, "sqs", "cloudwatch", "s3")
    except RunError:
        return None, None
    at_once = Calls(settings.model_copy(update={"retry_seconds": AT_ONCE_SECONDS}), stop)
    queue = QueueLook(sqs, cloudwatch, at_once, url) if url else None
    bucket = Bucket(s3, Calls(settings, stop), settings) if name else None
    return queue, bucket


def _show(status: Status, settings: StatusSettings) -> None:
    if settings.as_json:
        text = json.dumps(as_dict(status), indent=None if settings.watch else 2)
    else:
        text = as_text(status)
        if settings.watch and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            text = NEW_SCREEN + text
        elif settings.watch:
            text += "\n"
    print(text, flush=True)  # noqa: T201 - what the command is for
