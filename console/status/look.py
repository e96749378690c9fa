"""Looks at a run beside its workers: in the ledger, at the queue, through the listing."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from botocore.exceptions import ClientError

from console.services import ledger_if_any
from console.status.model import Status, Work
from console.status.queue import QueueLook
from workers.ending import expected, finished
from workers.errors import RunError, WorkerError
from workers.images.bucket import Bucket
from workers.ledger import Ledger
from workers.settings import Settings

# between two looks, of which the rate is made
LOOK_SECONDS = 2.0
RATE_SECONDS = 30.0
COUNTING_SHARE = 0.1


class Looker:
    """Looks at a run again and again; a rate needs two looks.

    What would come from a `queue` or a `bucket` that is not given stays unknown.
    """

    def __init__(
        self, settings: Settings, queue: QueueLook | None = None, bucket: Bucket | None = None
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._bucket = bucket
        self._before: deque[Status] = deque()
        self._failures = _Failures(settings.run)
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
        with ledger_if_any(self._settings) as ledger:
            if ledger is None:
                raise RunError(
                    f"there is no ledger {self._settings.ledger_file}; give the worker's "
                    "--state-dir (on an instance it is /var/lib/cartext) or --ledger, or wait "
                    "until a worker has started"
                )
            status = read(ledger, self._settings)
            status.failures = self._failures.by_reason(ledger, status)
        if self._queue:
            status.queue = self._queue.counters()
        self._count_images(status)
        self._measure(status)
        return status

    def _count_images(self, status: Status) -> None:
        work = status.label
        if not self._bucket or not work or work.of is not None:
            return
        if self._listing is None:
            self._listing = _Listing(self._bucket)
        if (images := self._listing.images) is not None:
            work.of = max(images, work.done)

    def _measure(self, status: Status) -> None:
        self._before.append(status)
        while len(self._before) > 2 and status.seen - self._before[0].seen > RATE_SECONDS:
            self._before.popleft()
        first = self._before[0]
        seconds = status.seen - first.seen
        earlier = {work.name: work.done for work in first.works}
        for work in status.works if seconds else []:
            work.per_second = (work.done - earlier.get(work.name, 0)) / seconds


def read(ledger: Ledger, settings: Settings) -> Status:
    """What the ledger tells without going through its rows."""
    status = Status(settings.run)
    counts, listed = ledger.label_counts(settings.run), ledger.listed(settings.run)
    ended = ledger.run_end(settings.run) is not None
    if counts.decided or ended:
        done, of = counts.decided, listed.total
        good, failed, known = counts.labelled, counts.failed, counts.known
        status.label = Work("label", done, done if ended else of, good, failed, known, ended)
    progress = ledger.progress(settings.run)
    if progress.done or progress.expected is not None or progress.foreign_end:
        status.progress = progress
        done, good, failed = progress.done, progress.with_text, progress.failed
        of, known, ended = expected(progress), progress.known, finished(progress)
        status.text = Work("text", done, of, good, failed, known, ended)
    return status


class _Failures:
    """Failures by reason; the ledger's rows are gone through only when there is a new one, and
    that takes a small share of the time, however many rows there are.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._known: dict[str, tuple[int, Counter[str]]] = {}
        self._again = 0.0

    def by_reason(self, ledger: Ledger, status: Status) -> dict[str, Counter[str]]:
        began = time.monotonic()
        if began >= self._again:
            self._bring_up_to_date(ledger, status)
            ended = time.monotonic()
            self._again = ended + (ended - began) / COUNTING_SHARE
        return {name: counts for name, (_, counts) in self._known.items()}

    def _bring_up_to_date(self, ledger: Ledger, status: Status) -> None:
        every: dict[str, Callable[[], Iterable[str | None]]] = {
            "label": lambda: (decision.failure for decision in ledger.failures(self._run)),
            "text": lambda: (json.loads(row)["failure"] for row, _ in ledger.results(self._run)),
        }
        for work in status.works:
            if work.failed != self._known.get(work.name, (0, None))[0]:
                self._known[work.name] = work.failed, _count(every[work.name](), work.failed)


def _count(failures: Iterable[str | None], most: int) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for failure in failures:
        if failure:
            reasons[failure.partition(":")[0]] += 1
            if reasons.total() >= most:
                break
    return reasons


class _Listing:
    """Counts the bucket's `images` in the background; None until then."""

    def __init__(self, bucket: Bucket) -> None:
        self.images: int | None = None
        self.thread = threading.Thread(target=self._count, args=(bucket,), daemon=True)
        self.thread.start()

    def _count(self, bucket: Bucket) -> None:
        try:
            self.images = sum(map(len, bucket.pages()))
        except (WorkerError, ClientError, RuntimeError):
            # at the interpreter's end there is no thread to be had for another call
            return
