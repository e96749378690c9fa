"""The parts queue of a fleet: a message names a part, and the table tells what that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workers.aws.answers import MessageAnswer
from workers.aws.calls import Calls
from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import attribute
from workers.index_queue.queue import Queue
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class PartMessage:
    """A message as it came: the number of a part; None in a message that is none of this run."""

    receipt: str
    number: int | None
    body: str


class PartQueue(Queue[PartMessage]):
    """The queue of parts."""

    def __init__(self, sqs: SQSClient, calls: Calls, url: str, settings: Settings) -> None:
        super().__init__(sqs, calls, url, partial(_parse, run=settings.run), settings)
        self._run = settings.run

    def send_parts(self, numbers: list[int]) -> None:
        """Sends any number of them; returns when SQS has all."""
        entries = [
            {"MessageBody": str(number), "MessageAttributes": {"run": attribute(self._run)}}
            for number in numbers
        ]
        for first in range(0, len(entries), BATCH):
            self.send(entries[first : first + BATCH])


def _parse(message: MessageAnswer, run: str) -> PartMessage:
    attributes: Any = message.get("MessageAttributes", {})
    body, of = message["Body"], attributes.get("run", {}).get("StringValue")
    # a part has twelve digits in the table
    is_ours = of == run and body.isascii() and body.isdecimal() and len(body) <= 12
    return PartMessage(message["ReceiptHandle"], int(body) if is_ours else None, body[:80])
