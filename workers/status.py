"""How far a run is: read beside the running workers, from the ledger and the queue's counters."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from workers.aws import Aws
from workers.errors import RunError, WorkerError
from workers.images import Bucket, shard_of
from workers.ledger import Ledger, open_ledger
from workers.recognition import dollars
from workers.records import LabelCounts, RunProgress
from workers.settings import Settings
from workers.stop import Stop
from workers.words import dollars_text, duration_text, table

# between two looks, of which the rate is made
LOOK_SECONDS = 2.0
RATE_SECONDS = 30.0
# after an answer failed, its service is left alone for so long
LEAVE_ALONE_SECONDS = 60.0
SHORT_SECONDS = 0.01
COUNTING_SHARE = 0.1
COUNTERS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
NEW_SCREEN = "\x1b[H\x1b[2J\x1b[3J"


class StatusSettings(Settings):
    """Says how far a run is; it reads the ledger of `--state-dir`, also beside a running worker.

    example:
      cartext status --state-dir /var/lib/cartext --run holidays --watch
      ssh HOST cartext status --json
    """

    model_config = SettingsConfigDict(env_prefix_target="all")

    bucket: str = Field("", description="if given, listed to know how many images there are")
    queue_url: str = Field("", description="if given, its counters are shown")
    watch: bool = Field(False, description="look again every 2 s until the run is finished")
    as_json: bool = Field(
        False, validation_alias="json", description="print JSON; with --watch one line a look"
    )


@dataclass
class Work:
    """One worker's part: `of` is None while nobody knows how many there will be.

    `good` counts the images with the label, or with text; `per_second` is None before two looks.
    """

    name: str
    done: int
    of: int | None
    good: int
    failed: int
    ended: bool
    per_second: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """None when nobody can know."""
        if self.ended:
            return 0.0
        if self.of is None or not self.per_second:
            return None
        return max(0, self.of - self.done) / self.per_second


@dataclass
class QueueCounters:
    """The queue's own numbers, None where they cannot be had."""

    waiting: int | None = None
    in_flight: int | None = None
    dead: int | None = None
    oldest_seconds: float | None = None

    @property
    def empty(self) -> bool:
        """Whether it surely is."""
        return self.waiting == 0 and self.in_flight == 0


@dataclass
class Status:
    """One look at a run."""

    run: str
    label: dict[int, Work] = field(default_factory=dict)
    text: Work | None = None
    foreign_end: bool = False
    failures: dict[str, Counter[str]] = field(default_factory=dict)
    queue: QueueCounters | None = None
    seen: float = field(default_factory=time.monotonic)

    @property
    def works(self) -> list[Work]:
        """Every worker of which the ledger knows."""
        return [*self.label.values(), *([self.text] if self.text else [])]

    @property
    def finished(self) -> bool:
        """As far as this ledger tells: the text worker's end counts where it is known."""
        if self.text:
            drained = self.foreign_end and self.queue is not None and self.queue.empty
            return self.text.ended or drained
        return bool(self.label) and all(work.ended for work in self.label.values())

    @property
    def dollars(self) -> float:
        """What Rekognition's answers have cost; an image that failed is not paid for."""
        return dollars(sum(work.done - work.failed for work in self.works))


def run(settings: StatusSettings) -> None:
    """Prints one status, or with `watch` one after the other until the run is finished."""
    looker = Looker(settings)
    if not settings.watch:
        _show(looker.look_twice(), settings)
        return
    for status in looker.watch():
        _show(status, settings)


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


class Looker:
    """Looks at a run again and again; a rate needs two looks."""

    def __init__(self, settings: StatusSettings) -> None:
        self._settings = settings
        self._before: deque[Status] = deque()
        self._failures = _Failures(settings)
        self._queue = _QueueLook(settings) if settings.queue_url else None
        self._listing: _Listing | None = None

    def look_twice(self) -> Status:
        """Looks, waits and looks again; once where there is nothing to wait for."""
        status = self.look()
        if not status.finished and status.works:
            time.sleep(LOOK_SECONDS)
            status = self.look()
        return status

    def watch(self) -> Iterator[Status]:
        """Looks every 2 s; the last look sees the run finished."""
        while True:
            status = self.look()
            yield status
            if status.finished:
                return
            time.sleep(LOOK_SECONDS)

    def look(self) -> Status:
        """Looks once; the rate is that since earlier looks, half a minute back at most.

        Raises RunError when there is no ledger.
        """
        with closing(_open_ledger(self._settings)) as ledger:
            # the run knows better than the settings of a laptop
            if shards := ledger.shards(self._settings.run):
                self._settings = self._settings.model_copy(update={"shards": shards})
            status = read(ledger, self._settings)
            status.failures = self._failures.by_reason(ledger, status)
        if self._queue:
            status.queue = self._queue.counters()
        self._count_images(status)
        self._measure(status)
        return status

    def _count_images(self, status: Status) -> None:
        if not self._settings.bucket or all(work.ended for work in status.label.values()):
            return
        if self._listing is None:
            self._listing = _Listing(self._settings)
        if counts := self._listing.counts:
            for shard, work in status.label.items():
                work.of = work.done if work.ended else max(counts[shard], work.done)

    def _measure(self, status: Status) -> None:
        self._before.append(status)
        while len(self._before) > 2 and status.seen - self._before[0].seen > RATE_SECONDS:
            self._before.popleft()
        first = self._before[0]
        seconds = status.seen - first.seen
        earlier = {work.name: work.done for work in first.works}
        for work in status.works if seconds else []:
            work.per_second = (work.done - earlier.get(work.name, 0)) / seconds


def _open_ledger(settings: Settings) -> Ledger:
    kind, _, path = settings.ledger_url.partition(":///")
    if kind == "sqlite" and not Path(path).exists():
        raise RunError(
            f"there is no ledger {path}; give the worker's --state-dir (on an instance it is "
            "/var/lib/cartext) or --ledger, or wait until a worker has started"
        )
    return open_ledger(settings, read_only=True)


def read(ledger: Ledger, settings: Settings) -> Status:
    """What the ledger tells without going through its rows."""
    status = Status(settings.run)
    for shard in range(settings.shards):
        counts = ledger.label_counts(settings.run, shard)
        ended = ledger.shard_ended(settings.run, shard) is not None
        if counts.decided or ended:
            name = f"label {shard + 1} of {settings.shards}"
            status.label[shard] = _label_work(name, counts, ended)
    progress = ledger.progress(settings.run)
    status.foreign_end = progress.foreign_end
    if progress.done or progress.expected or progress.all_ended or progress.foreign_end:
        status.text = _text_work(progress)
    return status


def _label_work(name: str, counts: LabelCounts, ended: bool) -> Work:
    of = counts.decided if ended else None
    return Work(name, counts.decided, of, counts.labelled, counts.failed, ended)


def _text_work(progress: RunProgress) -> Work:
    of = progress.expected if progress.all_ended else None
    good, failed = progress.with_text, progress.failed
    return Work("text", progress.done, of, good, failed, progress.counted_out)


class _Failures:
    """Failures by reason; the ledger's rows are gone through only when there is a new one, and
    that takes a small share of the time, however many rows there are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, tuple[int, Counter[str]]] = {}
        self._again = 0.0

    def by_reason(self, ledger: Ledger, status: Status) -> dict[str, Counter[str]]:
        began = time.monotonic()
        if began >= self._again:
            self._bring_up_to_date(ledger, status)
            ended = time.monotonic()
            self._again = ended + (ended - began) / COUNTING_SHARE
        kinds: dict[str, Counter[str]] = {}
        for name, (_, counts) in self._known.items():
            kinds.setdefault(name.split()[0], Counter()).update(counts)
        return kinds

    def _bring_up_to_date(self, ledger: Ledger, status: Status) -> None:
        run = self._settings.run
        for shard, work in status.label.items():
            if self._is_news(work):
                found = (decision.failure for decision in ledger.failures(run, shard))
                self._known[work.name] = work.failed, _count(found, work.failed)
        if status.text and self._is_news(status.text):
            found = (json.loads(row)["failure"] for row, _ in ledger.results(run))
            self._known["text"] = status.text.failed, _count(found, status.text.failed)

    def _is_news(self, work: Work) -> bool:
        return work.failed != self._known.get(work.name, (0, None))[0]


def _count(failures: Iterable[str | None], most: int) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for failure in failures:
        if failure:
            reasons[failure.partition(":")[0]] += 1
            if reasons.total() >= most:
                break
    return reasons


class _Listing:
    """Counts the bucket's images in the background; `counts` is by shard, None until then."""

    def __init__(self, settings: Settings) -> None:
        self.counts: list[int] | None = None
        self._thread = threading.Thread(target=self._count, args=(settings,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits until it has counted, or failed to."""
        self._thread.join()

    def _count(self, settings: Settings) -> None:
        counts = [0] * settings.shards
        try:
            whole = settings.model_copy(update={"shard": 0, "shards": 1})
            for page in Bucket(Aws(whole, Stop()), whole).pages():
                for image in page:
                    counts[shard_of(image.index, settings.shards)] += 1
        except (WorkerError, ClientError):
            return
        self.counts = counts


class _QueueLook:
    """The counters of the queue and of its dead-letter queue, and CloudWatch's age."""

    def __init__(self, settings: Settings) -> None:
        # a person waits: what does not answer at once is unknown
        self._settings = settings.model_copy(update={"retry_seconds": SHORT_SECONDS})
        self._aws: Aws | None = None
        self._policy: str | None = None
        self._again: dict[str, float] = {}

    def counters(self) -> QueueCounters:
        counters = QueueCounters()
        for part in (self._own, self._dead, self._oldest):
            name = part.__name__
            if time.monotonic() < self._again.get(name, 0):
                continue
            try:
                part(counters)
            except (WorkerError, ClientError, BotoCoreError):
                self._again[name] = time.monotonic() + LEAVE_ALONE_SECONDS
        return counters

    def _attributes(self, url: str) -> Any:
        aws = self._aws = self._aws or Aws(self._settings, Stop())
        names: list[Any] = [*COUNTERS, "RedrivePolicy"]
        return aws.call(
            "SQS GetQueueAttributes",
            lambda: aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names),
        )["Attributes"]

    def _own(self, counters: QueueCounters) -> None:
        attributes = self._attributes(self._settings.queue_url)
        waiting, in_flight, delayed = (int(attributes[name]) for name in COUNTERS)
        counters.waiting, counters.in_flight = waiting + delayed, in_flight
        self._policy = attributes.get("RedrivePolicy")

    def _dead(self, counters: QueueCounters) -> None:
        if not self._policy:
            return
        name = json.loads(self._policy)["deadLetterTargetArn"].rpartition(":")[2]
        # a dead-letter queue is of the same account and region
        url = self._settings.queue_url.rpartition("/")[0] + "/" + name
        counters.dead = int(self._attributes(url)["ApproximateNumberOfMessages"])

    def _oldest(self, counters: QueueCounters) -> None:
        if not self._aws or counters.waiting is None or counters.empty:
            return
        now = datetime.now(UTC)
        points = self._aws.cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[
                {"Name": "QueueName", "Value": self._settings.queue_url.rpartition("/")[2]}
            ],
            StartTime=now - timedelta(minutes=10),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        if points:
            counters.oldest_seconds = max(points, key=lambda point: point["Timestamp"])["Maximum"]


def as_dict(status: Status) -> dict[str, Any]:
    """The status as JSON has it; null is unknown."""

    def work(of: Work) -> dict[str, Any]:
        left, rate = of.seconds_left, of.per_second
        return {
            "done": of.done,
            "of": of.of,
            "failed": of.failed,
            "per_second": None if rate is None else round(rate, 1),
            "seconds_left": None if left is None else round(left),
            "ended": of.ended,
        }

    text, queue = status.text, status.queue or QueueCounters()
    return {
        "schema": 1,
        "run": status.run,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "finished": status.finished,
        "label": [
            {"shard": shard, **work(part), "labelled": part.good}
            for shard, part in status.label.items()
        ],
        "text": {**work(text), "with_text": text.good} if text else None,
        "failures": status.failures,
        "queue": vars(queue),
        "dollars": round(status.dollars, 4),
    }


def as_text(status: Status) -> str:
    """The status as one screen."""
    if not status.works:
        return f"run {status.run}: nothing in this ledger yet"
    parts = [f"run {status.run}: {'finished' if status.finished else 'under way'}"]
    parts.append(table([_row(work) for work in status.works], right=(1, 2, 3)))
    if status.failures:
        rows = [
            (name, f"{count:,}", reason)
            for name, reasons in status.failures.items()
            for reason, count in reasons.most_common()
        ]
        parts.append("failed\n" + table([("  " + name, *rest) for name, *rest in rows]))
    parts.append(f"queue  {_queue_text(status.queue)}")
    parts.append(f"cost   {dollars_text(status.dollars)} so far")
    return "\n\n".join(parts)


def _row(work: Work) -> tuple[str, ...]:
    of = "?" if work.of is None else f"{work.of:,}"
    share = f"{100 * work.done / work.of:.0f} %" if work.of else ""
    rate = "" if work.per_second is None or work.ended else f"{work.per_second:.1f}/s"
    left = "done" if work.ended else f"{duration_text(work.seconds_left)} left"
    what = "with text" if work.name == "text" else "with the label"
    good = f"{work.good:,} {what}, {work.failed:,} failed"
    return work.name, f"{work.done:,} of {of}", share, rate, left, good


def _queue_text(queue: QueueCounters | None) -> str:
    if queue is None:
        return "unknown: give --queue-url"

    def known(value: int | None) -> str:
        return "unknown" if value is None else f"{value:,}"

    if queue.empty:
        oldest = "none"
    else:
        age = queue.oldest_seconds
        oldest = "unknown" if age is None else f"{duration_text(age)} old"
    return (
        f"{known(queue.waiting)} waiting, {known(queue.in_flight)} in flight, "
        f"{known(queue.dead)} dead; oldest message: {oldest}"
    )
