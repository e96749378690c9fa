"""B, the text worker: takes indexes as they come, reads the images, knows when a run is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from workers.aws import Aws
from workers.errors import ImageError, PassingError, StoppedError
from workers.images import Bucket
from workers.index_queue import BATCH, Batcher, IndexQueue, Received
from workers.ledger import Ledger
from workers.output import Output
from workers.pool import BoundedPool
from workers.recognition import Recognizer, dollars
from workers.records import RunProgress, TextResult
from workers.settings import Settings
from workers.stop import Stop, Ticker

log = structlog.get_logger()

# nothing hurries a delete, so that it may wait for nine others
DELETE_LINGER_SECONDS = 1.0
# an image that failed for a passing reason comes again after so long, times its receives
RETRY_SECONDS = 30
# another worker may do the last image: so soon it is noticed that the run is done
SHARED_POLL_SECONDS = 1
# when a run lacks images for so long, a person is told where they may be
MISSING_SECONDS = 60.0


@dataclass(slots=True)
class _Work:
    """An image in flight, and the receipts of every copy of its message that has come."""

    message: Received
    receipts: list[str] = field(default_factory=list)
    renewed: float = field(default_factory=time.monotonic)


class TextWorker:
    """Works on whatever run a message names, and leaves when its own run is done."""

    def __init__(self, settings: Settings, ledger: Ledger, stop: Stop) -> None:
        aws = Aws(settings, stop)
        self._settings = settings
        self._ledger = ledger
        self._stop = stop
        self._bucket = Bucket(aws, settings)
        self._recognizer = Recognizer(aws, self._bucket, settings, stop)
        self._queue = IndexQueue(aws, settings)
        self._deleter = Batcher("deleter", self._queue.delete, DELETE_LINGER_SECONDS, stop)
        # behind a full queue every receive brings a whole batch, while no thread runs dry
        self._pool = BoundedPool(settings.slots, stop, BATCH)
        self._output = Output(settings.state_dir, ledger)
        self._in_flight: dict[tuple[str, str], _Work] = {}
        self._lock = threading.Lock()
        poll = settings.poll_seconds
        self._poll_seconds = min(poll, SHARED_POLL_SECONDS) if ledger.shared else poll
        self._last_receive = settings.tries
        self._began = self._heard = time.monotonic()
        self._done_before = 0
        self._empty_since: float | None = None

    def run(self) -> None:
        """Works until its own run is done; raises WorkerError when it ends before that."""
        before = self._progress()
        self._done_before = before.done
        self._output.has_news(self._settings.run)
        if before.counted_out:
            self._output.write()
            log.info("already finished", done=before.done, with_text=before.with_text)
            return
        if most := self._queue.max_receives():
            self._last_receive = min(self._last_receive, most)
        log.info("start", bucket=self._bucket.name, done_before=before.done)
        tickers = [
            Ticker("heartbeat", self._settings.visibility_timeout / 3, self._renew, self._stop),
            Ticker(
                "output",
                self._ledger.refresh_seconds,
                self._output.write_now_and_then,
                self._stop,
            ),
            Ticker("progress", self._settings.progress_seconds, self._log_progress, self._stop),
        ]
        try:
            self._take_until_finished()
        except Exception as error:
            self._stop.fail(error)
        self._pool.close()
        # a late renewal would hide again what has just been given back
        for ticker in tickers:
            ticker.close()
        self._write_last_output()
        self._deleter.flush()
        self._log_summary()
        if self._stop.error or not self._finished(self._progress()):
            self._stop.raise_error()

    def _take_until_finished(self) -> None:
        while not self._stop:
            # in this order: an image leaves the flight after its result is in the ledger
            in_flight, progress = self._in_flight_now(), self._progress()
            if self._finished(progress):
                return
            if in_flight and progress.all_ended and progress.done + in_flight >= progress.expected:
                # all that is still expected has been taken: no message need be waited for
                self._pool.wait_for_change(0.2)
            elif self._pool.wait_for_room(BATCH):
                self._take(self._queue.receive(BATCH, self._poll_seconds))

    def _take(self, messages: list[Received]) -> None:
        if self._stop:
            self._give_back([message.receipt for message in messages])
            return
        if messages:
            self._heard = time.monotonic()
        images = []
        for message in messages:
            if message.problem:
                # left for the dead-letter queue, where a person finds it
                log.error("message not understood", problem=message.problem)
            elif message.end or message.foreign_end:
                self._record_end(message)
            else:
                images.append(message)
        # all of them before the first is read: a double in the batch finds it in flight
        for message in list(self._only_new(images)):
            self._pool.submit(self._read, message)

    def _record_end(self, message: Received) -> None:
        if message.end:
            self._ledger.record_end(message.end).result()
            log.info(
                "end",
                index="-1",
                run=message.run,
                shard=message.end.shard,
                expected=message.end.expected,
            )
        else:
            self._ledger.record_foreign_end(message.run).result()
            log.info("end without counts", index="-1", run=message.run)
        self._deleter.put(message.receipt)

    def _only_new(self, messages: list[Received]) -> Iterable[Received]:
        """The images to be read; a message of one that is done is deleted, of one that is in flight
        kept with it.
        """
        # in this order: an image leaves the flight after its result is in the ledger
        messages = [message for message in messages if not self._joined(message)]
        for run in {message.run for message in messages}:
            of_run = [message for message in messages if message.run == run]
            not_done = self._ledger.not_done(run, [message.index for message in of_run])
            for message in of_run:
                if message.index not in not_done:
                    self._deleter.put(message.receipt)
                elif not self._joined(message):
                    with self._lock:
                        work = _Work(message, [message.receipt])
                        self._in_flight[message.run, message.index] = work
                    yield message

    def _joined(self, message: Received) -> bool:
        """Whether the image is in flight already, which then gets this message's receipt too."""
        with self._lock:
            work = self._in_flight.get((message.run, message.index))
            if work:
                work.receipts.append(message.receipt)
            return work is not None

    def _read(self, message: Received) -> None:
        began = time.monotonic()
        key = (message.run, message.index)
        try:
            result = None if self._stop else self._look(message)
            if result:
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                self._ledger.complete(replace(result, time=now)).result()
        finally:
            with self._lock:
                work = self._in_flight.pop(key)
        if result is None:
            wait = 0 if self._stop else RETRY_SECONDS * message.receives
            self._give_back(work.receipts, wait)
            return
        for receipt in work.receipts:
            self._deleter.put(receipt)
        self._output.has_news(message.run)
        _log_result(result, began)

    def _look(self, message: Received) -> TextResult | None:
        """Reads an image; None when that is left for a later try."""
        try:
            lines = self._recognizer.lines(message.index, message.etag)
            return TextResult(message.run, message.index, message.label, lines)
        except StoppedError:
            return None
        except ImageError as error:
            return TextResult(message.run, message.index, message.label, failure=str(error))
        except PassingError as error:
            if message.receives < self._last_receive:
                log.warning("given back", index=message.index, error=str(error))
                return None
            failure = f"failed {message.receives} times: {error}"
            return TextResult(message.run, message.index, message.label, failure=failure)

    def _give_back(self, receipts: list[str], seconds: int = 0) -> None:
        """Makes messages visible again; where that fails, their timeout does it later."""
        try:
            for first in range(0, len(receipts), BATCH):
                self._queue.hide(receipts[first : first + BATCH], seconds)
        except StoppedError:
            log.warning("not given back", messages=len(receipts))

    def _renew(self) -> None:
        """Keeps hidden what is still being worked on and was not renewed for a while."""
        due = time.monotonic() - self._settings.visibility_timeout / 3
        with self._lock:
            works = [work for work in self._in_flight.values() if work.renewed <= due]
            receipts = [receipt for work in works for receipt in work.receipts]
        for first in range(0, len(receipts), BATCH):
            self._queue.hide(receipts[first : first + BATCH], self._settings.visibility_timeout)
        for work in works:
            work.renewed = time.monotonic()

    def _progress(self) -> RunProgress:
        return self._ledger.progress(self._settings.run)

    def _in_flight_now(self) -> int:
        """How many images of the own run are in flight."""
        with self._lock:
            return sum(run == self._settings.run for run, _ in self._in_flight)

    def _finished(self, progress: RunProgress) -> bool:
        if progress.counted_out:
            return True
        # where ends with counts have come, too, those are believed
        if progress.foreign_end and not progress.all_ended and not self._pool.held:
            return self._empty_long_enough()
        return False

    def _empty_long_enough(self) -> bool:
        if not self._queue.is_empty():
            self._empty_since = None
            return False
        now = time.monotonic()
        if self._empty_since is None:
            self._empty_since = now
        return now - self._empty_since >= self._settings.foreign_end_seconds

    def _write_last_output(self) -> None:
        try:
            # the last results of a run may be another text worker's
            self._output.has_news(self._settings.run)
            self._output.write()
        except Exception as error:
            self._stop.fail(error)

    def _log_progress(self) -> None:
        progress = self._progress()
        rate = (progress.done - self._done_before) / (time.monotonic() - self._began)
        left = (progress.expected - progress.done) / rate if rate and progress.all_ended else None
        log.info(
            "progress",
            done=progress.done,
            of=progress.expected if progress.all_ended else None,
            with_text=progress.with_text,
            failed=progress.failed,
            in_flight=len(self._in_flight),
            per_second=round(rate, 1),
            seconds_left=left if left is None else round(max(0.0, left)),
        )
        missing = progress.expected - progress.done - len(self._in_flight)
        silent = time.monotonic() - self._heard
        if progress.all_ended and missing > 0 and silent >= MISSING_SECONDS:
            log.warning(
                "waiting for images",
                missing=missing,
                note="another text worker may hold them; else look in the dead-letter queue",
            )

    def _log_summary(self) -> None:
        progress = self._progress()
        log.info(
            "summary",
            finished=progress.counted_out or not self._stop,
            done=progress.done,
            with_text=progress.with_text,
            failed=progress.failed,
            seconds=round(time.monotonic() - self._began, 1),
            text_calls=self._recognizer.paid_calls,
            throttled_calls=self._recognizer.throttled_calls,
            sqs_calls=self._queue.calls,
            dollars=round(dollars(self._recognizer.paid_calls), 4),
            output=str(self._settings.run_dir / "output.txt"),
        )


def _log_result(result: TextResult, began: float) -> None:
    milliseconds = round((time.monotonic() - began) * 1000)
    if result.failure:
        log.warning(
            "failed", run=result.run, index=result.index, reason=result.failure, ms=milliseconds
        )
    else:
        log.info(
            "read",
            run=result.run,
            index=result.index,
            text=" | ".join(line.text for line in result.lines),
            ms=milliseconds,
        )
