"""What SQS and CloudWatch tell of the index queue, as far as they may be asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from console.status.model import QueueCounters
from workers.aws.calls import Calls
from workers.errors import WorkerError
from workers.index_queue.queue import COUNTERS, read_attributes

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")

# after an answer failed, its service is left alone for so long
LEAVE_ALONE_SECONDS = 60.0


class QueueLook:
    """The counters of the queue and of its dead-letter queue, and CloudWatch's age."""

    def __init__(
        self, sqs: SQSClient, cloudwatch: CloudWatchClient, calls: Calls, url: str
    ) -> None:
        self._sqs = sqs
        self._cloudwatch = cloudwatch
        self._calls = calls
        self._url = url
        self._dead_url = ""
        self._again: dict[str, float] = {}

    def counters(self) -> QueueCounters:
        """Asks for all of them; what cannot be had stays None."""
        counters = QueueCounters()
        for part in (self._own, self._dead, self._oldest):
            name = part.__name__
            if time.monotonic() < self._again.get(name, 0):
                continue
            try:
                part(counters)
            except WorkerError:
                self._again[name] = time.monotonic() + LEAVE_ALONE_SECONDS
        return counters

    def _attributes(self, url: str, read: Callable[[dict[str, str]], T]) -> T:
        """What is read of a queue's attributes; an answer of which it cannot be is malformed."""
        names: list[Any] = [*COUNTERS, "RedrivePolicy"]
        return self._calls.call(
            "SQS GetQueueAttributes",
            lambda: self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names),
            lambda reply: read(read_attributes(reply)["Attributes"]),
        )

    def _own(self, counters: QueueCounters) -> None:
        def read(attributes: dict[str, str]) -> tuple[list[int], str]:
            counts = [int(attributes[name]) for name in COUNTERS]
            return counts, dead_letters_of(self._url, attributes)

        (waiting, in_flight, delayed), self._dead_url = self._attributes(self._url, read)
        counters.waiting, counters.in_flight = waiting + delayed, in_flight

    def _dead(self, counters: QueueCounters) -> None:
        if self._dead_url:
            counters.dead = self._attributes(
                self._dead_url, lambda attributes: int(attributes["ApproximateNumberOfMessages"])
            )

    def _oldest(self, counters: QueueCounters) -> None:
        if counters.waiting is None or counters.empty:
            return
        now = datetime.now(UTC)
        points = self._calls.call(
            "CloudWatch GetMetricStatistics",
            lambda: self._cloudwatch.get_metric_statistics(
                Namespace="AWS/SQS",
                MetricName="ApproximateAgeOfOldestMessage",
                Dimensions=[{"Name": "QueueName", "Value": self._url.rpartition("/")[2]}],
                StartTime=now - timedelta(minutes=10),
                EndTime=now,
                Period=60,
                Statistics=["Maximum"],
            ),
            lambda reply: sorted((p["Timestamp"], p["Maximum"]) for p in reply["Datapoints"]),
        )
        if points:
            counters.oldest_seconds = points[-1][1]


def dead_letters_of(url: str, attributes: dict[str, str]) -> str:
    """URL of a queue's dead-letter queue, of the same account and region; empty without one."""
    policy = attributes.get("RedrivePolicy")
    arn = str(json.loads(policy)["deadLetterTargetArn"]) if policy else ""
    return arn and f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"
