"""B, the text worker: takes indexes as they come, reads the images, knows when a run is done."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from structlog.contextvars import bound_contextvars

from workers.all_failed import refuse_results
from workers.ending import ending, expected, finished, missing
from workers.errors import (
    AccessError,
    ImageError,
    OutageError,
    PassingError,
    RunError,
    StoppedError,
)
from workers.events import ALREADY_FINISHED, PROGRESS, START, SUMMARY, End, Failed, TextRead, say
from workers.in_flight import Held, InFlight
from workers.index_queue.batcher import BATCH, Batcher
from workers.index_queue.messages import END_MARK, Received
from workers.model import Result, RunProgress
from workers.output.files import Output
from workers.pace import Pace
from workers.parts import Parts
from workers.price import dollars
from workers.settings import Settings
from workers.suspicion import Suspicion
from workers.threads.pool import BoundedPool
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

log = structlog.get_logger()

# nothing hurries a delete, so that it may wait for nine others
DELETE_LINGER_SECONDS = 1.0
# the delay of a redelivery: an image that failed for a passing reason comes again after so long,
# times its tries
REDELIVERY_SECONDS = 30
# another worker may do the last image: so soon it is noticed that the run is done
SHARED_POLL_SECONDS = 1
# when a run lacks images, or nothing at all has come for so long, a person is told why that may be
MISSING_SECONDS, ALONE_SECONDS = 60.0, 10.0


class TextWorker:
    """Works on whatever run a message names, and leaves when its own run is done."""

    def __init__(self, settings: Settings, parts: Parts, stop: Stop) -> None:
        self._settings = settings
        self._stop = stop
        self._bucket = parts.bucket
        self._recognizer = parts.recognizer
        self._queue = parts.index_queue
        self._ledger = parts.ledger
        self._deleter = Batcher("deleter", self._queue.delete, DELETE_LINGER_SECONDS, stop)
        # behind a full queue every receive brings a whole batch, while no thread runs dry
        self._pool = BoundedPool(settings.slots, stop, BATCH)
        self._output = Output(settings.state_dir, self._ledger)
        self._in_flight = InFlight(self._queue, settings.visibility_timeout, settings.longest_hold)
        poll = settings.poll_seconds
        self._poll_seconds = min(poll, SHARED_POLL_SECONDS) if self._ledger.shared else poll
        self._tries: Counter[tuple[str, str]] = Counter()
        self._heard = time.monotonic()
        self._alone = True
        self._empty_since = math.inf

    def run(self) -> None:
        """Works until its own run is done; raises WorkerError when it ends before that."""
        before = self._progress()
        self._output.has_news(self._settings.run)
        if finished(before):
            self._output.write()
            log.info(ALREADY_FINISHED, done=before.done, with_text=before.with_text)
            refuse_results(before, self._ledger.results(self._settings.run))
            return
        self._last_receive = self._queue.max_receives() or math.inf
        log.info(START, bucket=self._bucket.name, done_before=before.done)
        self._pace = Pace(before.done)
        self._suspicion: Suspicion[tuple[Held, Result]] = Suspicion(before.done > before.failed)
        tickers = [
            Ticker(name, seconds, function, self._stop)
            for name, seconds, function in (
                ("heartbeat", self._settings.visibility_timeout / 3, self._in_flight.renew),
                ("output", self._ledger.refresh_seconds, self._output.write_now_and_then),
                ("progress", self._settings.progress_seconds, self._log_progress),
            )
        ]
        try:
            self._take_until_finished()
        except Exception as error:
            self._stop.fail(error)
        self._pool.close()
        for ticker in tickers:
            ticker.close()
        self._write_last_output()
        self._deleter.flush()
        self._log_summary()
        progress = self._progress()
        if self._stop.error or not self._finished(progress):
            self._stop.raise_error()
        refuse_results(progress, self._ledger.results(self._settings.run))

    def _take_until_finished(self) -> None:
        while not self._stop:
            # in this order: an image leaves the flight after its result is in the ledger
            in_flight, progress = self._in_flight.of_run(self._settings.run), self._progress()
            if self._finished(progress):
                return
            left = missing(progress)
            if not self._pool.held and left is not None and len(self._suspicion) >= left:
                self._suspicion.give_up()
            if in_flight and left is not None and in_flight >= left:
                # all that is still expected has been taken: no message need be waited for
                self._pool.wait_for_change(0.2)
            elif self._pool.wait_for_room(BATCH):
                self._take(self._queue.receive(BATCH, self._poll_seconds))

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
        for held in self._only_new(images):
            self._pool.submit(self._read, held)

    def _record_end(self, message: Received) -> None:
        with bound_contextvars(run=message.run):
            if message.end:
                self._ledger.record_end(message.end).result()
                say(End(END_MARK, message.end.shard, message.end.expected))
            else:
                self._ledger.record_foreign_end(message.run).result()
                log.info("end without counts", index=END_MARK)
        self._deleter.put(message.receipt)

    def _only_new(self, messages: list[Received]) -> list[Held]:
        """The images to be read; a duplicate of one that is done is deleted, of one that is in
        flight kept with it.
        """
        # taken first, looked up then: an image leaves the flight after its result is in the ledger
        taken = [held for held in map(self._in_flight.take, messages) if held]
        runs = {held.message.run for held in taken}
        filed = {run: [h.message.filed for h in taken if h.message.run == run] for run in runs}
        not_done = {run: self._ledger.not_done(run, filed[run]) for run in runs}
        new = []
        for held in taken:
            if held.message.filed in not_done[held.message.run]:
                new.append(held)
            else:
                self._delete(held)
        return new

    def _read(self, held: Held) -> None:
        began = time.monotonic()
        with bound_contextvars(run=held.message.run, index=held.message.index):
            results = None if self._stop else self._look(held)
            if results is None:
                self._give_back(held)
                return
            for each, result in results:
                # committed before its message is deleted
                self._ledger.complete(result).result()
                self._delete(each)
                self._output.has_news(result.run)
                _log_result(result, began)

    def _look(self, held: Held) -> list[tuple[Held, Result]] | None:
        """Reads an image; empty when its result is kept back, None when it is left to a
        redelivery.
        """
        message = held.message
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        nothing = Result(
            message.run, message.index, message.label, time=now, by_hand=message.by_hand
        )
        try:
            lines = self._recognizer.lines(message.index, message.etag)
            return self._suspicion.success((held, replace(nothing, lines=lines)))
        except StoppedError:
            return None
        except AccessError as error:
            failed = replace(nothing, failure=str(error))
            return self._suspicion.failure((held, failed), RunError(error), message.by_hand)
        except ImageError as error:
            return [(held, replace(nothing, failure=str(error)))]
        except PassingError as error:
            # not the receives: a restart of a worker is nothing that an image has done
            self._tries[held.key] += 1
            tries = self._tries[held.key]
            if tries < self._settings.tries and message.receives < self._last_receive:
                log.warning("given back", error=str(error), tries=tries)
                return None
            failure = f"failed {tries} times: {error}"
            failed = replace(nothing, failure=failure)
            return self._suspicion.failure((held, failed), OutageError(failure), message.by_hand)

    def _delete(self, held: Held) -> None:
        for receipt in self._in_flight.leave(held):
            self._deleter.put(receipt)

    def _give_back(self, held: Held) -> None:
        delay = 0 if self._stop else REDELIVERY_SECONDS * self._tries[held.key]
        try:
            self._in_flight.give_back(held, delay)
        except StoppedError:
            # their timeout does it later
            log.warning("not given back")

    def _progress(self) -> RunProgress:
        return self._ledger.progress(self._settings.run)

    def _finished(self, progress: RunProgress) -> bool:
        asks_queue = ending(progress).asks_queue and not self._pool.held
        return finished(progress, asks_queue and self._empty_long_enough())

    def _empty_long_enough(self) -> bool:
        empty, now = self._queue.is_empty(), time.monotonic()
        self._empty_since = min(self._empty_since, now) if empty else math.inf
        return now - max(self._empty_since, self._heard) >= self._settings.foreign_end_seconds

    def _write_last_output(self) -> None:
        try:
            # the last results of a run may be another text worker's
            self._output.has_news(self._settings.run)
            self._output.write()
        except Exception as error:
            self._stop.fail(error)

    def _log_progress(self) -> None:
        progress = self._progress()
        of = expected(progress)
        log.info(
            PROGRESS,
            done=progress.done,
            of=of,
            with_text=progress.with_text,
            failed=progress.failed,
            in_flight=len(self._in_flight),
            **self._pace.fields(progress.done, of),
        )
        silent = time.monotonic() - self._heard
        if self._alone and of is None and silent >= ALONE_SECONDS:
            self._alone = False
            note = "nothing came yet; start `cartext label` with the same bucket, queue and run"
            log.info("waiting for a label worker", note=note)
        if (found := ending(progress)).asks_queue:
            log.info("waiting for an empty queue", note=found.value)
        nowhere = (missing(progress) or 0) - len(self._in_flight)
        if nowhere > 0 and silent >= MISSING_SECONDS:
            log.warning(
                "waiting for images",
                missing=nowhere,
                note="another text worker may hold them; else look in the dead-letter queue, or "
                "send them again: cartext resend",
            )

    def _log_summary(self) -> None:
        progress = self._progress()
        log.info(
            SUMMARY,
            finished=not self._stop.error and (finished(progress) or not self._stop),
            done=progress.done,
            with_text=progress.with_text,
            failed=progress.failed,
            seconds=round(self._pace.seconds, 1),
            text_calls=self._recognizer.paid_calls,
            throttled_calls=self._recognizer.throttled_calls,
            sqs_calls=self._queue.calls_made,
            dollars=round(dollars(self._recognizer.paid_calls), 4),
            output=str(self._settings.run_dir / "output.txt"),
        )


def _log_result(result: Result, began: float) -> None:
    milliseconds = round((time.monotonic() - began) * 1000)
    if result.failure:
        say(Failed(result.index, result.failure, milliseconds), "warning")
    else:
        text = " | ".join(line.text for line in result.lines)
        say(TextRead(result.index, text, milliseconds))
