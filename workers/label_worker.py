"""A, the label worker: lists the bucket, finds the cars, and puts their indexes on the queue."""

from __future__ import annotations

import threading

import structlog

from workers.all_failed import refuse_decisions
from workers.answer import Handed
from workers.decider import Decider
from workers.errors import OutageError, RunError
from workers.estimate import Estimate
from workers.events import (
    AGAIN,
    ALREADY_FINISHED,
    PROGRESS,
    START,
    SUMMARY,
    End,
    say,
)
from workers.index_queue.messages import END_MARK, end_entry
from workers.index_queue.sender import IndexSender
from workers.model import Decision, ShardEnd
from workers.output.files import write_failures, write_near
from workers.pace import Pace
from workers.price import dollars, has_budget, refusal
from workers.services import Services
from workers.settings import Settings
from workers.settled import OF_LABELS, check, settle
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()


class LabelWorker:
    """One shard's way through a run."""

    def __init__(self, settings: Settings, services: Services, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._services = services
        self._ledger = services.ledger
        self._bucket = services.bucket
        self._recognizer = services.recognizer
        self._queue = services.index_queue
        self._sender = IndexSender(self._queue, self._acknowledged, settings.linger_seconds, stop)
        self._of: int | None = None

    def run(self) -> None:
        """Works until every image of the shard is decided and the end is on the queue.

        Raises WorkerError when it ends before that.
        """
        run, shard = self._settings.run, self._settings.shard
        check(self._ledger, self._settings, OF_LABELS)
        if ended := self._ledger.shard_ended(run, shard):
            log.info(ALREADY_FINISHED, shard=shard, sent=ended.expected, note=AGAIN)
            self._refuse_all_failed()
            return
        self._bucket.check()
        self._check_budget()
        self._queue.max_receives()
        # what is refused above begins no run
        settle(self._ledger, self._settings, OF_LABELS)
        before = self._ledger.label_counts(run, shard)
        self._pace = Pace(before.decided)
        suspects = before.decided == before.failed
        self._decider = Decider(self._settings, self._services, self._sender, self._stop, suspects)
        log.info(START, bucket=self._bucket.name, shard=shard, decided_before=before.decided)
        progress = Ticker(
            "progress", self._settings.progress_seconds, self._log_progress, self._stop
        )
        if self._of is None:
            threading.Thread(target=self._count, name="count", daemon=True).start()
        try:
            self._resend()
            self._decide_all()
            self._sender.flush()
            if not self._stop:
                self._end()
        except Exception as error:
            self._stop.fail(error)
        self._decider.close()
        self._sender.flush()
        progress.close()
        self._log_summary()
        self._stop.raise_error()
        self._refuse_all_failed()

    def _check_budget(self) -> None:
        if not has_budget(self._settings):
            return
        estimate, ours = Estimate(self._settings, self._ledger), 0
        for page in self._bucket.pages_in_any_order(whole=True):
            estimate.add(self._bucket.identified(page))
            ours += sum(map(self._bucket.is_ours, page))
        if reason := refusal(estimate.label_calls, estimate.text_calls, self._settings):
            raise RunError(reason)
        # all that `_count` would find out by another listing
        self._of = ours

    def _resend(self) -> None:
        """Sends again what an earlier start had decided and may not have sent."""
        self._sender.send_all(self._ledger.unsent(self._settings.run, self._settings.shard))

    def _decide_all(self) -> None:
        listed = 0
        for page in self._bucket.pages():
            listed += len(page)
            undecided = self._ledger.undecided(self._settings.run, [image.index for image in page])
            images = [image for image in page if image.index in undecided]
            self._decider.page(self._bucket.identified(images))
        self._of = listed
        self._decider.finish()

    def _acknowledged(self, decisions: list[Decision]) -> None:
        # not waited for: the next indexes go out while this is written
        if not self._ledger.shared:
            # before it is kept that they are sent: what is not is sent, and comes here, once more
            for decision in decisions:
                if decision.picture.is_known:
                    self._ledger.keep(decision.picture, Handed())
        self._ledger.sent(decisions)

    def _end(self) -> None:
        """Says on the queue how many indexes were sent, now that SQS has acknowledged them all."""
        run, shard = self._settings.run, self._settings.shard
        self._ledger.sent([]).result()
        if next(self._ledger.unsent(run, shard), None):
            raise OutageError("not every index could be sent; start again to go on")
        expected = self._ledger.label_counts(run, shard).labelled
        end = ShardEnd(run, shard, self._settings.shards, expected)
        folder, below = self._settings.run_dir, self._settings.min_confidence
        write_failures(folder, self._ledger.failures(run, shard))
        write_near(folder, self._ledger.near(run, shard), below)
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
        # what is known is decided as fast as it is listed: only what is paid for takes time
        self._decider.busy.wait()
        try:
            listed = 0
            for page in self._bucket.pages_in_any_order():
                listed += len(page)
                if self._stop or self._of is not None:
                    return
            self._of = listed
        except Exception as error:
            # the listing that the work depends on meets the same error, and reports it
            log.debug("count failed", error=str(error))

    def _log_progress(self) -> None:
        counts = self._ledger.label_counts(self._settings.run, self._settings.shard)
        log.info(
            PROGRESS,
            done=counts.decided,
            of=self._of,
            labelled=counts.labelled,
            failed=counts.failed,
            known=counts.known,
            **self._pace.fields(counts.decided, self._of),
        )

    def _log_summary(self) -> None:
        counts = self._ledger.label_counts(self._settings.run, self._settings.shard)
        log.info(
            SUMMARY,
            finished=not self._stop,
            done=counts.decided,
            labelled=counts.labelled,
            failed=counts.failed,
            known=counts.known,
            seconds=round(self._pace.seconds, 1),
            label_calls=self._recognizer.paid_calls,
            throttled_calls=self._recognizer.throttled_calls,
            sqs_calls=self._queue.calls_made,
            dollars=round(dollars(self._recognizer.paid_calls), 4),
        )
