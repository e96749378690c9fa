"""SQS's calls on a queue, and the index queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from workers.aws.answers import (
    AttributesAnswer,
    BatchAnswer,
    MessageAnswer,
    MessagesAnswer,
    NotDone,
    reader,
)
from workers.aws.calls import Calls
from workers.aws.codes import PartlyFailedError, is_known_to_pass
from workers.errors import RunError
from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import Received, parse
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")
M = TypeVar("M")

log = structlog.get_logger()

# waiting, in flight and not yet due: each is approximate
COUNTERS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

read_messages, read_attributes = reader(MessagesAnswer), reader(AttributesAnswer)
read_batch = reader(BatchAnswer)


class Queue(Generic[M]):
    """SQS's calls on one queue, and how many of them were made; `parse` makes a message of its."""

    def __init__(
        self,
        sqs: SQSClient,
        calls: Calls,
        url: str,
        parse: Callable[[MessageAnswer], M],
        settings: Settings,
    ) -> None:
        self._sqs = sqs
        self._calls = calls
        self._url = url
        self._parse = parse
        self._settings = settings
        self._lock = threading.Lock()
        self.calls_made = 0

    def max_receives(self) -> int | None:
        """How often a message comes before SQS moves it to the dead-letter queue, None: no limit.

        Raises RunError when the queue is not there or may not be used.
        """

        def read(attributes: dict[str, str]) -> int | None:
            policy = attributes.get("RedrivePolicy")
            return int(json.loads(policy)["maxReceiveCount"]) if policy else None

        # without one that every queue has, an answer without the policy would be an empty one
        return self._ask(["RedrivePolicy", "QueueArn"], read)

    def is_empty(self) -> bool:
        """Whether all three counters of the queue are 0."""

        def read(attributes: dict[str, str]) -> bool:
            return not any(int(attributes[name]) for name in COUNTERS)

        return self._ask([*COUNTERS], read)

    def _ask(self, names: list[Any], read: Callable[[dict[str, str]], T]) -> T:
        return self._call(
            "SQS GetQueueAttributes",
            lambda: self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names),
            lambda reply: read(read_attributes(reply)["Attributes"]),
        )

    def receive(self, most: int, seconds: int | None = None) -> list[M]:
        """Waits up to `seconds` (or `poll_seconds`) for up to `most` (10 at most) messages."""
        settings = self._settings

        def read(reply: Any) -> list[M]:
            return [*map(self._parse, read_messages(reply).get("Messages", []))]

        return self._call(
            "SQS ReceiveMessage",
            lambda: self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(BATCH, most),
                WaitTimeSeconds=settings.poll_seconds if seconds is None else seconds,
                VisibilityTimeout=settings.visibility_timeout,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SenderId"],
                MessageAttributeNames=["All"],
            ),
            read,
        )

    def send(self, entries: list[dict[str, Any]]) -> None:
        """Sends up to 10 messages; returns when SQS has all of them."""
        if refused := self._batch("SQS SendMessageBatch", self._sqs.send_message_batch, entries):
            raise RunError(f"SQS does not take a message: {refused[0].get('Message', refused[0])}")

    def delete(self, receipts: list[str]) -> None:
        """Deletes up to 10 messages; one whose receipt is stale will come again, and be deleted."""
        self._batch("SQS DeleteMessageBatch", self._sqs.delete_message_batch, _entries(receipts))

    def hide(self, receipts: list[str], seconds: int) -> None:
        """Keeps any number of messages hidden for so many seconds from now; 0 gives them back."""
        for first in range(0, len(receipts), BATCH):
            self._batch(
                "SQS ChangeMessageVisibilityBatch",
                self._sqs.change_message_visibility_batch,
                _entries(receipts[first : first + BATCH], VisibilityTimeout=seconds),
            )

    def _batch(
        self, what: str, operation: Callable[..., Any], entries: list[dict[str, Any]]
    ) -> list[NotDone]:
        """Makes a batch call until every entry is taken; returns those that never can be."""
        pending = {str(number): entry for number, entry in enumerate(entries)}
        refused: list[NotDone] = []

        def request() -> Any:
            rest = [{"Id": number, **entry} for number, entry in pending.items()]
            return operation(QueueUrl=self._url, Entries=rest)

        def read(reply: Any) -> None:
            answer, asked = read_batch(reply), len(pending)
            for entry in answer.get("Successful", []):
                pending.pop(entry["Id"], None)
            refused.extend(
                entry
                for entry in answer.get("Failed", [])
                # to be one too many is the sender's fault, too
                if entry["SenderFault"] and not is_known_to_pass(entry["Code"])
                if pending.pop(entry["Id"], None) is not None
            )
            if pending:
                raise PartlyFailedError(f"{len(pending)} of {asked} entries failed")

        self._call(what, request, read)
        for entry in refused:
            log.debug("entry refused", call=what, error=entry["Code"])
        return refused

    def _call(self, what: str, request: Callable[[], Any], read: Callable[[Any], T]) -> T:
        def counted() -> Any:
            with self._lock:
                self.calls_made += 1
            return request()

        return self._calls.call(what, counted, read)


class IndexQueue(Queue[Received]):
    """The queue of indexes."""

    def __init__(self, sqs: SQSClient, calls: Calls, settings: Settings) -> None:
        read = partial(parse, own_run=settings.run, label_sender=settings.label_sender)
        super().__init__(sqs, calls, settings.queue_url, read, settings)


def _entries(receipts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"ReceiptHandle": receipt, **more} for receipt in receipts]
