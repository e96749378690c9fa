"""B, the text worker: takes indexes as they come, reads the images, knows when a run is done."""

from __future__ import annotations

import math
import time

import structlog
from structlog.contextvars import bound_contextvars

from workers.all_failed import refuse_results
from workers.ending import ending, expected, finished, missing
from workers.events import AGAIN, ALREADY_FINISHED, PROGRESS, START, SUMMARY, End, say
from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import END_MARK, Received
from workers.index_queue.receiver import Receiver
from workers.model import RunProgress
from workers.output.files import Output
from workers.pace import Pace
from workers.price import dollars
from workers.reader import Reader
from workers.services import Services
from workers.settings import Settings
from workers.settled import OF_TEXT, settle
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()

# another worker may do the last image: so soon it is noticed that the run is done
SHARED_POLL_SECONDS = 1
# when a run lacks images, or nothing at all has come for so long, a person is told why that may be
MISSING_SECONDS, ALONE_SECONDS = 60.0, 10.0


class TextWorker:
    """Works on whatever run a message names, and leaves when its own run is done."""

    def __init__(self, settings: Settings, services: Services, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._services = services
        self._recognizer = services.recognizer
        self._queue = services.index_queue
        self._ledger = services.ledger
        self._output = Output(settings.state_dir, self._ledger)
        poll = settings.poll_seconds
        poll = min(poll, SHARED_POLL_SECONDS) if self._ledger.fleet else poll
        self._receiver = Receiver(self._queue, poll)
        self._heard = time.monotonic()
        self._alone = True
        self._empty_since = math.inf

    def run(self) -> None:
        """Works until its own run is done; raises WorkerError when it ends before that."""
        settle(self._ledger, self._settings, OF_TEXT)
        before = self._progress()
        self._output.has_news(self._settings.run)
        if finished(before):
            self._output.write()
            log.info(ALREADY_FINISHED, done=before.done, with_text=before.with_text, note=AGAIN)
            refuse_results(before, self._ledger.results(self._settings.run))
            return
        log.info(START, bucket=self._settings.bucket, done_before=before.done)
        self._pace = Pace(before.done)
        self._reader = Reader(self._settings, self._services, self._output, self._stop, before)
        tickers = [
            Ticker(name, seconds, function, self._stop)
            for name, seconds, function in (
                ("heartbeat", self._settings.visibility_timeout / 3, self._reader.in_flight.renew),
                ("output", self._ledger.refresh_seconds, self._output.write_now_and_then),
                ("progress", self._settings.progress_seconds, self._log_progress),
            )
        ]
        try:
            self._take_until_finished()
        except Exception as error:
            self._stop.fail(error)
        self._reader.close()
        for ticker in tickers:
            ticker.close()
        is_whole = self._write_last_output()
        self._reader.flush()
        self._log_summary(is_whole)
        if self._stop.error or not is_whole:
            self._stop.raise_error()
        refuse_results(self._progress(), self._ledger.results(self._settings.run))

    def _take_until_finished(self) -> None:
        while not self._stop:
            # in this order: an image leaves the flight after its result is in the ledger
            in_flight = self._reader.in_flight.of_run(self._settings.run)
            progress = self._progress()
            if self._finished(progress):
                return
            left = missing(progress)
            if left is not None:
                self._reader.hear(progress, left)
            if in_flight and left is not None and in_flight >= left:
                # all that is still expected has been taken: no message need be waited for
                self._reader.pool.wait_for_change(0.2)
            elif room := self._reader.pool.wait_for_room(BATCH):
                self._take(self._receiver.receive(room))

    def _take(self, messages: list[Received]) -> None:
        if self._stop:
            self._queue.hide([message.receipt for message in messages], 0)
            return
        if messages:
            self._heard = time.monotonic()
            self._alone = False
        images = []
        for message in messages:
            if message.problem:
                # left for the dead-letter queue, where a person finds it
                log.error("message refused", problem=message.problem)
            elif message.end or message.foreign_end:
                self._record_end(message)
            else:
                images.append(message)
        self._reader.take(images)

    def _record_end(self, message: Received) -> None:
        with bound_contextvars(run=message.run):
            if message.end:
                self._ledger.record_end(message.end).result()
                say(End(END_MARK, message.end.expected))
            else:
                self._ledger.record_foreign_end(message.run).result()
                log.info("end without counts", index=END_MARK)
        self._reader.delete(message.receipt)

    def _progress(self) -> RunProgress:
        return self._ledger.progress(self._settings.run)

    def _finished(self, progress: RunProgress) -> bool:
        asks_queue = ending(progress).asks_queue and not self._reader.pool.held
        return finished(progress, asks_queue and self._empty_long_enough())

    def _empty_long_enough(self) -> bool:
        empty, now = self._queue.is_empty(), time.monotonic()
        self._empty_since = min(self._empty_since, now) if empty else math.inf
        return now - max(self._empty_since, self._heard) >= self._settings.foreign_end_seconds

    def _write_last_output(self) -> bool:
        """Whether the files have the whole run: what others finish later is not in them."""
        try:
            is_finished = self._finished(self._progress())
            # the last results of a run may be another text worker's
            self._output.has_news(self._settings.run)
            self._output.write()
        except Exception as error:
            self._stop.fail(error)
            return False
        return is_finished

    def _log_progress(self) -> None:
        progress = self._progress()
        of = expected(progress)
        log.info(
            PROGRESS,
            done=progress.done,
            of=of,
            with_text=progress.with_text,
            failed=progress.failed,
            known=progress.known,
            in_flight=len(self._reader.in_flight),
            **self._pace.fields(progress.done, of),
        )
        silent = time.monotonic() - self._heard
        if self._alone and of is None and silent >= ALONE_SECONDS:
            self._alone = False
            note = "nothing came yet; start `cartext label` with the same bucket, queue and run"
            log.info("waiting for a label worker", note=note)
        if (found := ending(progress)).asks_queue:
            log.info("waiting for an empty queue", note=found.value)
        nowhere = (missing(progress) or 0) - len(self._reader.in_flight)
        if nowhere > 0 and silent >= MISSING_SECONDS:
            log.warning(
                "waiting for images",
                missing=nowhere,
                note="another text worker may hold them; else look in the dead-letter queue, or "
                "send them again: cartext resend",
            )

    def _log_summary(self, is_whole: bool) -> None:
        progress = self._progress()
        log.info(
            SUMMARY,
            finished=not self._stop.error and (is_whole or not self._stop),
            done=progress.done,
            with_text=progress.with_text,
            failed=progress.failed,
            known=progress.known,
            seconds=round(self._pace.seconds, 1),
            text_calls=self._recognizer.paid_calls,
            throttled_calls=self._recognizer.throttled_calls,
            sqs_calls=self._queue.calls_made,
            dollars=round(dollars(self._recognizer.paid_calls), 4),
            output=str(self._settings.run_dir / "output.txt"),
        )
