"""SQS's calls on the index queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from botocore.exceptions import ClientError

from workers.aws.calls import Calls
from workers.aws.codes import PartlyFailedError, error_message
from workers.errors import RunError
from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import Received, parse
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = structlog.get_logger()

# waiting, in flight and not yet due: each is approximate
COUNTERS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class IndexQueue:
    """SQS's calls on one queue, and how many of them were made."""

    def __init__(self, sqs: SQSClient, calls: Calls, settings: Settings) -> None:
        self._sqs = sqs
        self._calls = calls
        self._url = settings.queue_url
        self._settings = settings
        self._lock = threading.Lock()
        self.calls_made = 0

    def max_receives(self) -> int | None:
        """How often a message comes before SQS moves it to the dead-letter queue, None: no limit.

        Raises RunError when the queue is not there or may not be used.
        """
        policy = self._attributes(["RedrivePolicy"]).get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    def is_empty(self) -> bool:
        """Whether all three counters of the queue are 0."""
        return not any(int(value) for value in self._attributes([*COUNTERS]).values())

    def _attributes(self, names: list[Any]) -> dict[str, str]:
        reply = self._call(
            "SQS GetQueueAttributes",
            lambda: self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names),
        )
        attributes: dict[str, str] = reply.get("Attributes", {})
        return attributes

    def receive(self, most: int, seconds: int | None = None) -> list[Received]:
        """Waits up to `seconds` (or `poll_seconds`) for up to `most` (10 at most) messages."""
        reply = self._call(
            "SQS ReceiveMessage",
            lambda: self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(BATCH, most),
                WaitTimeSeconds=self._settings.poll_seconds if seconds is None else seconds,
                VisibilityTimeout=self._settings.visibility_timeout,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=["All"],
            ),
        )
        return [parse(message, self._settings.run) for message in reply.get("Messages", [])]

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
    ) -> list[dict[str, Any]]:
        """Makes a batch call until every entry is taken; returns those that never can be."""
        pending = {str(number): entry for number, entry in enumerate(entries)}
        refused: list[dict[str, Any]] = []

        def attempt() -> None:
            request = [{"Id": number, **entry} for number, entry in pending.items()]
            reply = operation(QueueUrl=self._url, Entries=request)
            for entry in reply.get("Successful", []):
                pending.pop(entry["Id"], None)
            refused.extend(
                entry
                for entry in reply.get("Failed", [])
                if entry.get("SenderFault") and pending.pop(entry["Id"], None)
            )
            if pending:
                raise PartlyFailedError(f"{len(pending)} of {len(request)} entries failed")

        self._call(what, attempt)
        for entry in refused:
            log.debug("entry refused", call=what, error=entry.get("Code"))
        return refused

    def _call(self, what: str, function: Callable[[], Any]) -> Any:
        def counted() -> Any:
            with self._lock:
                self.calls_made += 1
            return function()

        try:
            return self._calls.call(what, counted)
        except ClientError as error:
            raise RunError(f"{what} on {self._url}: {error_message(error)}") from error


def _entries(receipts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"ReceiptHandle": receipt, **more} for receipt in receipts]
