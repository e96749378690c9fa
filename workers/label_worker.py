"""A, the label worker: lists the bucket, finds the cars, and puts their indexes on the queue."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import structlog
from structlog.contextvars import bound_contextvars

from workers.all_failed import refuse_decisions
from workers.errors import (
    AccessError,
    ImageError,
    OutageError,
    PassingError,
    RunError,
    StoppedError,
)
from workers.events import (
    ALREADY_FINISHED,
    PROGRESS,
    START,
    SUMMARY,
    End,
    Failed,
    Labelled,
    NotLabelled,
    say,
)
from workers.images.limits import unfit
from workers.index_queue.messages import END_MARK, end_entry
from workers.index_queue.sender import IndexSender
from workers.model import Decision, Image, ShardEnd
from workers.output.files import write_failures
from workers.pace import Pace
from workers.parts import Parts
from workers.price import dollars, has_budget, refusal
from workers.settings import Settings
from workers.suspicion import Suspicion
from workers.threads.pool import BoundedPool
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()

# images beyond the ones in flight that wait for a thread, while the next page is listed
BACKLOG = 1000
# set aside for another try; when so many fail it is not the images
MOST_SET_ASIDE = 10_000


class LabelWorker:
    """One shard's way through a run."""

    def __init__(self, settings: Settings, parts: Parts, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._ledger = parts.ledger
        self._bucket = parts.bucket
        self._recognizer = parts.recognizer
        self._queue = parts.index_queue
        self._sender = IndexSender(self._queue, self._acknowledged, settings.linger_seconds, stop)
        self._pool = BoundedPool(settings.slots, stop, BACKLOG)
        self._set_aside: list[tuple[Image, int]] = []
        self._lock = threading.Lock()
        self._listed = 0
        self._listing_done = False

    def run(self) -> None:
        """Works until every image of the shard is decided and the end is on the queue.

        Raises WorkerError when it ends before that.
        """
        run, shard = self._settings.run, self._settings.shard
        if ended := self._ledger.shard_ended(run, shard):
            log.info(ALREADY_FINISHED, shard=shard, sent=ended.expected)
            self._refuse_all_failed()
            return
        self._bucket.check()
        self._check_budget()
        self._queue.max_receives()
        self._check_shards()
        before = self._ledger.label_counts(run, shard)
        self._pace = Pace(before.decided)
        self._suspicion: Suspicion[Decision] = Suspicion(before.decided > before.failed)
        log.info(START, bucket=self._bucket.name, shard=shard, decided_before=before.decided)
        progress = Ticker(
            "progress", self._settings.progress_seconds, self._log_progress, self._stop
        )
        threading.Thread(target=self._count, name="count", daemon=True).start()
        try:
            self._resend()
            self._decide_all()
            self._sender.flush()
            if not self._stop:
                self._suspicion.give_up()
                self._end()
        except Exception as error:
            self._stop.fail(error)
        self._pool.close()
        self._sender.flush()
        progress.close()
        self._log_summary()
        self._stop.raise_error()
        self._refuse_all_failed()

    def _check_budget(self) -> None:
        if not has_budget(self._settings):
            return
        images = (image for page in self._bucket.pages(whole=True) for image in page)
        fit = sum(not unfit(image) for image in images)
        if reason := refusal(fit, self._settings):
            raise RunError(reason)

    def _check_shards(self) -> None:
        run, shards = self._settings.run, self._settings.shards
        self._ledger.settle_shards(run, shards).result()
        settled = self._ledger.shards(run)
        if settled != shards:
            raise RunError(
                f"run {run!r} was begun with {settled} label workers, not {shards}, and each has "
                f"its share of the images; set CARTEXT_SHARDS={settled}, or give CARTEXT_RUN a new "
                "name"
            )

    def _resend(self) -> None:
        """Sends again what an earlier start had decided and may not have sent."""
        self._sender.send_all(self._ledger.unsent(self._settings.run, self._settings.shard))

    def _decide_all(self) -> None:
        for page in self._bucket.pages():
            undecided = self._ledger.undecided(self._settings.run, [image.index for image in page])
            for image in page:
                if image.index in undecided:
                    self._submit(image, 1)
        self._pool.wait_until_idle()
        while self._set_aside and not self._stop:
            again, self._set_aside = self._set_aside, []
            for image, attempt in again:
                self._submit(image, attempt)
            self._pool.wait_until_idle()

    def _submit(self, image: Image, attempt: int) -> None:
        self._pool.wait_for_room()
        self._stop.raise_error()
        self._pool.submit(self._decide, image, attempt)

    def _decide(self, image: Image, attempt: int) -> None:
        if self._stop:
            return
        began = time.monotonic()
        with bound_contextvars(index=image.index):
            decisions = self._look(image, attempt)
            for each in decisions:
                # kept before it is sent: the end counts what is kept, and B what was sent
                self._ledger.decide(each).result()
                if each.label:
                    self._sender.send(each)
                _log_decision(each, began)

    def _look(self, image: Image, attempt: int) -> list[Decision]:
        """Decides about an image; empty when that is left for later."""
        nothing = Decision(self._settings.run, self._settings.shard, image.index)
        try:
            if broken := unfit(image):
                raise ImageError(broken)
            label = self._recognizer.label(image.index)
            return self._suspicion.success(replace(nothing, etag=image.etag, label=label))
        except StoppedError:
            return []
        except AccessError as error:
            return self._suspicion.failure(replace(nothing, failure=str(error)), RunError(error))
        except ImageError as error:
            return [replace(nothing, failure=str(error))]
        except PassingError as error:
            if attempt < self._settings.tries:
                self._put_aside(image, attempt + 1, error)
                return []
            failure = f"failed {attempt} times: {error}"
            failed = replace(nothing, failure=failure)
            return self._suspicion.failure(failed, OutageError(failure))

    def _put_aside(self, image: Image, attempt: int, error: PassingError) -> None:
        log.warning("set aside", error=str(error), next_try=attempt)
        with self._lock:
            self._set_aside.append((image, attempt))
        if len(self._set_aside) >= MOST_SET_ASIDE:
            raise OutageError(f"{MOST_SET_ASIDE} images failed; the last one: {error}")

    def _acknowledged(self, decisions: list[Decision]) -> None:
        # not waited for: the next indexes go out while this is written
        self._ledger.sent(decisions)

    def _end(self) -> None:
        """Says on the queue how many indexes were sent, now that SQS has acknowledged them all."""
        run, shard = self._settings.run, self._settings.shard
        self._ledger.sent([]).result()
        if next(self._ledger.unsent(run, shard), None):
            raise OutageError("not every index could be sent; start again to go on")
        expected = self._ledger.label_counts(run, shard).labelled
        end = ShardEnd(run, shard, self._settings.shards, expected)
        write_failures(self._settings.run_dir, self._ledger.failures(run, shard))
        self._queue.send([end_entry(end)])
        self._ledger.end_shard(end).result()
        say(End(END_MARK, shard, expected))

    def _refuse_all_failed(self) -> None:
        """The shard's images all failed, and no other shard has done better as far as is known."""
        run, shard, shards = self._settings.run, self._settings.shard, self._settings.shards
        for each in (shard, *range(shards)):
            counts = self._ledger.label_counts(run, each)
            if counts.decided > counts.failed:
                return
        refuse_decisions(self._ledger.failures(run, shard))

    def _count(self) -> None:
        """Counts the shard's images ahead of the work, so that the time left can be told."""
        try:
            for page in self._bucket.pages():
                self._listed += len(page)
                if self._stop:
                    return
            self._listing_done = True
        except Exception as error:
            # the listing that the work depends on meets the same error, and reports it
            log.debug("count failed", error=str(error))

    def _log_progress(self) -> None:
        counts = self._ledger.label_counts(self._settings.run, self._settings.shard)
        of = self._listed if self._listing_done else None
        log.info(
            PROGRESS,
            done=counts.decided,
            of=of,
            labelled=counts.labelled,
            failed=counts.failed,
            **self._pace.fields(counts.decided, of),
        )

    def _log_summary(self) -> None:
        counts = self._ledger.label_counts(self._settings.run, self._settings.shard)
        log.info(
            SUMMARY,
            finished=not self._stop,
            done=counts.decided,
            labelled=counts.labelled,
            failed=counts.failed,
            seconds=round(self._pace.seconds, 1),
            label_calls=self._recognizer.paid_calls,
            throttled_calls=self._recognizer.throttled_calls,
            sqs_calls=self._queue.calls_made,
            dollars=round(dollars(self._recognizer.paid_calls), 4),
        )


def _log_decision(decision: Decision, began: float) -> None:
    index, milliseconds = decision.index, round((time.monotonic() - began) * 1000)
    if decision.failure:
        say(Failed(index, decision.failure, milliseconds), "warning")
    elif label := decision.label:
        say(Labelled(index, label.name, label.confidence, milliseconds))
    else:
        say(NotLabelled(index, milliseconds))
