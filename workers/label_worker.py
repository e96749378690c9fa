"""A, the label worker: finds the cars in a bucket, and puts their indexes on the queue."""

from __future__ import annotations

import threading

import structlog

from workers.all_failed import refuse_decisions
from workers.answer import Handed
from workers.decider import Decider
from workers.errors import OutageError, OverBudgetError, RunError
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
from workers.model import Decision, Image, Part, RunEnd
from workers.output.files import write_failures, write_near
from workers.pace import Pace
from workers.parts.in_hand import InHand
from workers.parts.own import OwnParts
from workers.parts.shared import SharedParts
from workers.parts.source import PartSource
from workers.price import budget_of, dollars
from workers.services import Services
from workers.settings import Settings
from workers.settled import OF_LABELS, check, refuse_shards, settle
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()


class LabelWorker:
    """A worker's way through a run, part by part."""

    def __init__(self, settings: Settings, services: Services, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._services = services
        self._ledger = services.ledger
        self._bucket = services.bucket
        self._recognizer = services.recognizer
        self._queue = services.index_queue
        self._sender = IndexSender(self._queue, self._acknowledged, settings.linger_seconds, stop)
        self._counted: int | None = None

    def run(self) -> None:
        """Works until every image of the run is decided and the end is on the queue.

        Raises WorkerError when it ends before that.
        """
        run = self._settings.run
        if self._ledger.fleet and not self._services.fleet:
            raise RunError(
                "label workers that share a table take the parts of the listing from a queue; set "
                "CARTEXT_PARTS_QUEUE_URL (terraform output: parts_queue_url)"
            )
        check(self._ledger, self._settings, OF_LABELS)
        if ended := self._ledger.run_end(run):
            log.info(ALREADY_FINISHED, sent=ended.expected, note=AGAIN)
            self._refuse_all_failed()
            return
        refuse_shards(self._ledger, run)
        self._bucket.check()
        seen = self._first_look()
        self._queue.max_receives()
        # what is refused above begins no run
        settle(self._ledger, self._settings, OF_LABELS)
        before = self._ledger.label_counts(run)
        self._pace = Pace(before.decided)
        log.info(START, bucket=self._settings.bucket, decided_before=before.decided)
        self._parts = self._part_source(seen)
        self._in_hand = InHand(self._parts.done)
        self._decider = Decider(self._settings, self._services, self._hand_on, self._stop, before)
        progress = Ticker(
            "progress", self._settings.progress_seconds, self._log_progress, self._stop
        )
        if not self._services.fleet and self._parts.of is None:
            threading.Thread(target=self._count, name="count", daemon=True).start()
        try:
            self._work_on_parts()
            if not self._stop:
                self._end()
        except Exception as error:
            self._stop.fail(error)
        self._decider.close()
        self._sender.flush()
        self._parts.close()
        progress.close()
        self._log_summary()
        self._stop.raise_error()
        self._refuse_all_failed()

    def _first_look(self) -> int | None:
        """How many images a run has that is about to begin, where that must be known.

        Raises OverBudgetError when they may cost more than the budget.
        """
        settings = self._settings
        if budget_of(settings) is None or self._ledger.listed(settings.run).parts:
            return None
        estimate, images = Estimate(settings, self._ledger), 0
        for page in self._bucket.pages():
            estimate.add(self._bucket.identified(page))
            images += len(page)
        if estimate.refusal:
            raise OverBudgetError(estimate.refusal)
        return images

    def _part_source(self, seen: int | None) -> PartSource:
        services = self._services
        if services.fleet:
            return SharedParts(self._settings, services, services.fleet, seen, self._stop)
        return OwnParts(self._settings, services, seen)

    def _work_on_parts(self) -> None:
        # what a version without parts had decided and may not have sent
        self._sender.send_all(self._ledger.unsent(self._settings.run, Part(0, "", "", 0), ()))
        for taken in self._parts.taken():
            if taken:
                self._work_on(*taken)
            else:
                self._decider.try_again()
        self._decider.finish()
        self._sender.flush()

    def _work_on(self, part: Part, images: list[Image]) -> None:
        """Has the part's images decided, and sends what an earlier start may not have sent."""
        run = self._settings.run
        indexes = [image.index for image in images]
        undecided = self._ledger.undecided(run, indexes)
        decided = [index for index in indexes if index not in undecided]
        # else also what is no longer in the bucket: it is labelled, and so the end counts it
        named = decided if self._settings.keys else None
        is_begun = bool(decided or part.by or not self._services.fleet)
        unsent = [*self._ledger.unsent(run, part, named)] if is_begun else []
        self._in_hand.take(part.number, len(undecided) + len(unsent))
        for decision in unsent:
            self._sender.send(decision)
        self._decider.page(
            self._bucket.identified([image for image in images if image.index in undecided])
        )

    def _hand_on(self, decided: list[Decision]) -> None:
        self._in_hand.decided(decided)
        for decision in decided:
            if decision.labels:
                self._sender.send(decision)

    def _acknowledged(self, decisions: list[Decision]) -> None:
        # not waited for: the next indexes go out while this is written
        if not self._ledger.fleet:
            # before it is kept that they are sent: what is not is sent, and comes here, once more
            for decision in decisions:
                if decision.picture.is_known:
                    self._ledger.keep(decision.picture, Handed())
        self._ledger.sent(decisions)
        self._in_hand.sent(decisions)

    def _end(self) -> None:
        """Says on the queue how many indexes were sent, now that SQS has acknowledged them all."""
        run, folder = self._settings.run, self._settings.run_dir
        if len(self._in_hand):
            raise OutageError("not every index could be sent; start again to go on")
        self._ledger.sent([]).result()
        end = self._ledger.run_end(run)
        counts = self._ledger.label_counts(run, recount=not end)
        write_failures(folder, self._ledger.failures(run))
        write_near(folder, self._ledger.near(run), self._settings.min_confidence)
        if not end:
            end = RunEnd(run, counts.labelled)
            self._queue.send([end_entry(end)])
            self._ledger.end_run(end).result()
        say(End(END_MARK, end.expected))

    def _refuse_all_failed(self) -> None:
        run = self._settings.run
        refuse_decisions(self._ledger.label_counts(run), self._ledger.failures(run))

    def _count(self) -> None:
        """Counts the images ahead of the work, so that the time left can be told."""
        # what is known is decided as fast as it is listed: only what is paid for takes time
        self._decider.busy.wait()
        try:
            counted = 0
            for page in self._bucket.pages():
                counted += len(page)
                if self._stop or self._of is not None:
                    return
            self._counted = counted
        except Exception as error:
            # the listing that the work depends on meets the same error, and reports it
            log.debug("count failed", error=str(error))

    @property
    def _of(self) -> int | None:
        of = self._parts.of
        return self._counted if of is None else of

    def _log_progress(self) -> None:
        counts, of = self._ledger.label_counts(self._settings.run), self._of
        log.info(
            PROGRESS,
            done=counts.decided,
            of=of,
            labelled=counts.labelled,
            failed=counts.failed,
            known=counts.known,
            **self._pace.fields(counts.decided, of),
        )

    def _log_summary(self) -> None:
        counts = self._ledger.label_counts(self._settings.run)
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
