"""The index queue: indexes go out in batches, come in as facts, are deleted after the commit."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from botocore.exceptions import ClientError

from workers.aws import Aws, PartlyFailedError, error_message
from workers.errors import RunError, StoppedError
from workers.images import END_MARK
from workers.records import Box, Label, LabelDecision, ShardEnd
from workers.settings import RUN_NAME, Settings
from workers.stop import Stop

log = structlog.get_logger()

BATCH = 10
# of SQS's 1 MiB a request; what is left over covers the envelope
BATCH_BYTES = 200_000
# one request under way never keeps the next batch waiting
SENDERS = 4
# a bigger number is nobody's count, and no ledger holds it
MOST = 2**63
# how soon a full batch is noticed
GATHER_SECONDS = 0.01
# how soon a flush notices that the worker has failed
FLUSH_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: an image's index, or a shard's end, or neither (`problem`).

    `end` without counts (None in `shards`) comes from somebody else's label worker.
    """

    receipt: str
    receives: int
    run: str
    index: str = ""
    shard: int = 0
    etag: str = ""
    label: Label | None = None
    end: ShardEnd | None = None
    foreign_end: bool = False
    problem: str | None = None


def _attribute(value: str | int) -> dict[str, str]:
    kind = "Number" if isinstance(value, int) else "String"
    return {"DataType": kind, "StringValue": str(value)}


def image_entry(decision: LabelDecision) -> dict[str, Any]:
    """The message that says: this image has the label."""
    found = {
        "etag": decision.etag,
        "label": decision.label.as_dict() if decision.label else None,
    }
    return {
        "MessageBody": decision.index,
        "MessageAttributes": {
            "run": _attribute(decision.run),
            "shard": _attribute(decision.shard),
            "found": _attribute(json.dumps(found, separators=(",", ":"))),
        },
    }


def end_entry(end: ShardEnd) -> dict[str, Any]:
    """The message that says: the shard has sent so many distinct indexes, there are no more."""
    return {
        "MessageBody": END_MARK,
        "MessageAttributes": {
            "run": _attribute(end.run),
            "shard": _attribute(end.shard),
            "shards": _attribute(end.shards),
            "expected": _attribute(end.expected),
        },
    }


def parse(message: dict[str, Any], own_run: str) -> Received:
    """Reads a message; one without a run belongs to `own_run`."""
    attributes = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    receipt = message["ReceiptHandle"]
    receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    run = attributes.get("run", own_run)
    body = message["Body"]
    try:
        if not re.fullmatch(RUN_NAME, run):
            raise ValueError(f"the run's name {run!r} is not one")
        if body == END_MARK and "expected" not in attributes:
            return Received(receipt, receives, run, foreign_end=True)
        if body == END_MARK:
            end = ShardEnd(
                run,
                int(attributes["shard"]),
                int(attributes["shards"]),
                int(attributes["expected"]),
            )
            if not (0 <= end.shard < end.shards < MOST and 0 <= end.expected < MOST):
                raise ValueError(f"the end's numbers do not fit: {end}")
            return Received(receipt, receives, run, end=end)
        found = json.loads(attributes.get("found", "{}"))
        if not isinstance(found.get("etag", ""), str):
            raise TypeError("the etag is not a text")
        return Received(
            receipt,
            receives,
            run,
            index=body,
            shard=int(attributes.get("shard", 0)),
            etag=found.get("etag", ""),
            label=_parse_label(found.get("label")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Received(receipt, receives, own_run, problem=f"{body[:80]!r}: {error}")


def _parse_label(found: dict[str, Any] | None) -> Label | None:
    if not found:
        return None
    boxes = tuple(Box(**box) for box in found["boxes"])
    return Label(found["name"], float(found["confidence"]), boxes)


class IndexQueue:
    """SQS's calls on one queue, and how many of them were made."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._sqs = aws.sqs
        self._url = settings.queue_url
        self._settings = settings
        self._lock = threading.Lock()
        self.calls = 0

    def max_receives(self) -> int | None:
        """How often a message comes before SQS moves it to the dead-letter queue, None: no limit.

        Raises RunError when the queue is not there or may not be used.
        """
        policy = self._attributes(["RedrivePolicy"]).get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    def is_empty(self) -> bool:
        """Whether all three counters of the queue are 0 (each of them is approximate)."""
        counters = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        return not any(int(value) for value in self._attributes(counters).values())

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
        """Keeps up to 10 messages hidden for so many seconds from now; 0 gives them back."""
        self._batch(
            "SQS ChangeMessageVisibilityBatch",
            self._sqs.change_message_visibility_batch,
            _entries(receipts, VisibilityTimeout=seconds),
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
                self.calls += 1
            return function()

        try:
            return self._aws.call(what, counted)
        except ClientError as error:
            raise RunError(f"{what} on {self._url}: {error_message(error)}") from error


def _entries(receipts: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"ReceiptHandle": receipt, **more} for receipt in receipts]


class Batcher:
    """Gathers items and hands them on in batches: full, or as old as the linger, or at the flush.

    `hand_on` gets 1 to 10 items, in one of `threads` threads.
    """

    def __init__(
        self,
        name: str,
        hand_on: Callable[[list[Any]], None],
        linger_seconds: float,
        stop: Stop,
        threads: int = 1,
    ) -> None:
        self._items: queue.Queue[Any] = queue.Queue(maxsize=1000)
        self._hand_on = hand_on
        self._linger = linger_seconds
        self._stop = stop
        self._gathering = threading.Lock()
        self._flushing = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, item: Any, size: int = 0) -> None:
        """Adds an item of about `size` bytes; waits while a thousand are before it."""
        while True:
            try:
                return self._items.put((item, size), timeout=0.5)
            except queue.Full:
                if self._stop.error:
                    raise StoppedError from None

    def flush(self) -> None:
        """Returns when everything put before has been handed on, or the worker has failed."""
        self._flushing.set()
        with self._items.all_tasks_done:
            while self._items.unfinished_tasks and not self._stop.error:
                self._items.all_tasks_done.wait(FLUSH_SECONDS)
        self._flushing.clear()

    def _run(self) -> None:
        while True:
            with self._gathering:
                batch = self._gather()
            try:
                if not self._stop.error:
                    self._hand_on(batch)
            except BaseException as error:
                self._stop.fail(error)
            finally:
                for _ in batch:
                    self._items.task_done()

    def _gather(self) -> list[Any]:
        item, size = self._items.get()
        batch = [item]
        due = time.monotonic() + self._linger
        # asleep, not at the queue: there every item that comes would wake it
        while self._items.qsize() < BATCH - 1 and (left := due - time.monotonic()) > 0:
            if self._flushing.wait(min(left, GATHER_SECONDS)):
                break
        while len(batch) < BATCH and size < BATCH_BYTES:
            try:
                item, more = self._items.get_nowait()
            except queue.Empty:
                break
            batch.append(item)
            size += more
        return batch


class IndexSender:
    """Puts decisions on the queue as soon as they are made; `acknowledged` gets what SQS has."""

    def __init__(
        self,
        index_queue: IndexQueue,
        acknowledged: Callable[[list[LabelDecision]], None],
        settings: Settings,
        stop: Stop,
    ) -> None:
        self._queue = index_queue
        self._acknowledged = acknowledged
        self._batcher = Batcher("sender", self._send, settings.linger_seconds, stop, SENDERS)

    def send(self, decision: LabelDecision) -> None:
        """Takes a decision; it leaves within the linger."""
        entry = image_entry(decision)
        self._batcher.put((decision, entry), len(json.dumps(entry)))

    def send_all(self, decisions: Iterable[LabelDecision]) -> None:
        """Takes many decisions and waits until SQS has them."""
        for decision in decisions:
            self.send(decision)
        self.flush()

    def flush(self) -> None:
        """Returns when SQS has everything, or the worker has failed."""
        self._batcher.flush()

    def _send(self, batch: list[tuple[LabelDecision, dict[str, Any]]]) -> None:
        self._queue.send([entry for _, entry in batch])
        self._acknowledged([decision for decision, _ in batch])
