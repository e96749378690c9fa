"""`cartext resend`: what is labelled and has no result goes over the queue once more."""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import Field

from console.services import make_services
from console.work import working
from workers.resend import resend
from workers.settings import Settings


class ResendSettings(Settings):
    """Sends again what is labelled and has no result: messages may have expired, or been lost.

    It takes the label worker's settings, login and ledger; the text worker deletes what it has
    done, and may refuse what another login sends.

    example:
      cartext resend --run holidays --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """

    bucket: str = Field("", description="not needed here")
    as_json: bool = Field(False, validation_alias="json", description="print JSON")


SETTINGS = ResendSettings


def run(settings: ResendSettings) -> None:
    """Sends, and prints how much that was; raises WorkerError when it ends before that."""
    with working(settings, "label") as (ledger, stop):
        sent = resend(settings, make_services(settings, ledger, stop), stop)
    text = f"sent again: {sent.indexes:,} indexes, {'and' if sent.end else 'not'} the end"
    told = {"schema": 1, "run": settings.run, **asdict(sent)}
    print(json.dumps(told) if settings.as_json else text)  # noqa: T201 - what the command is for
