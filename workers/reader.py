"""How the text worker reads the images that it has taken: from answers, else by looking, once."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from workers.answer import TextAnswer
from workers.errors import (
    AccessError,
    ImageError,
    OutageError,
    PassingError,
    RunError,
    StoppedError,
)
from workers.events import Failed, TextRead, say
from workers.in_flight import Held, InFlight
from workers.index_queue.batcher import BATCH, DELETE_LINGER_SECONDS, Batcher
from workers.index_queue.messages import Received
from workers.model import Result, RunProgress
from workers.output.files import Output
from workers.question import TextQuestion
from workers.services import Services
from workers.settings import Settings
from workers.single_flight import SingleFlight
from workers.suspicion import Suspicion
from workers.threads.pool import BoundedPool
from workers.threads.stop import Stop

log = structlog.get_logger()

# the delay of a redelivery: an image that failed for a passing reason comes again after so long,
# times its tries
REDELIVERY_SECONDS = 30


class Reader:
    """Takes the messages of images, and deletes each when its result is in the ledger.

    `before` is how far earlier starts have come.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        output: Output,
        stop: Stop,
        before: RunProgress,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._recognizer = services.recognizer
        self._ledger = services.ledger
        self._output = output
        self._question = TextQuestion.of(settings)
        # with that one a message is not left to a redelivery any more
        self._last_receive = services.index_queue.max_receives() or math.inf
        self._deleter = Batcher("deleter", services.index_queue.delete, DELETE_LINGER_SECONDS, stop)
        # behind a full queue every receive brings a whole batch, while no thread runs dry
        self.pool = BoundedPool(settings.slots, stop, BATCH)
        self.in_flight = InFlight(
            services.index_queue,
            settings.visibility_timeout,
            settings.longest_hold,
            let_go=self._land,
        )
        self._suspicion: Suspicion[tuple[Held, Result]] = Suspicion(before.done > before.failed)
        self._flight: SingleFlight[Held] = SingleFlight()
        self._tries: Counter[tuple[str, str]] = Counter()

    def take(self, messages: list[Received]) -> None:
        """Has the images read, each once however often its message comes."""
        began = time.monotonic()
        known, unknown = self._look_up(self._only_new(messages))
        if known:
            # a commit takes its time, in which the next messages come
            self.pool.submit(self._complete, known, began)
        for held in unknown:
            self.pool.submit(self._read, held)

    def hear(self, progress: RunProgress, left: int) -> None:
        """Completes what was kept back if another worker has had a success; raises what is
        everybody's if each of the `left` images has failed, or nothing comes of the others.
        """
        if not len(self._suspicion) or self.pool.held:
            return
        self._complete(self._suspicion.hear(progress.done, progress.failed), time.monotonic())
        if len(self._suspicion) >= left:
            self._suspicion.give_up()

    def close(self) -> None:
        """Lets go of the threads once what they read is done."""
        self.pool.close()

    def delete(self, receipt: str) -> None:
        """Has a message deleted, in a batch."""
        self._deleter.put(receipt)

    def flush(self) -> None:
        """Returns when what is done is deleted from the queue."""
        self._deleter.flush()

    def _only_new(self, messages: list[Received]) -> list[Held]:
        """The images to be read; a duplicate of one that is done is deleted, of one that is in
        flight kept with it.
        """
        # taken first, looked up then: an image leaves the flight after its result is in the ledger
        taken = [held for held in map(self.in_flight.take, messages) if held]
        by_run: defaultdict[str, list[Received]] = defaultdict(list)
        for held in taken:
            by_run[held.message.run].append(held.message)
        not_done = {run: self._not_done(run, messages) for run, messages in by_run.items()}
        new = []
        for held in taken:
            if held.message.filed in not_done[held.message.run]:
                new.append(held)
            else:
                self._delete(held)
        return new

    def _not_done(self, run: str, messages: list[Received]) -> set[str]:
        just_kept = self._flight.just_kept(message.picture for message in messages)
        again = {
            message.filed
            for message in messages
            if message.receives > 1 or message.picture in just_kept or not message.picture.is_known
        }
        return self._ledger.not_done(run, [message.filed for message in messages], again)

    def _look_up(self, images: list[Held]) -> tuple[list[tuple[Held, Result]], list[Held]]:
        """What can be known at once, and those that are to be read, one of each picture."""
        leading = [
            held
            for held in images
            # of what is asked for by hand nobody knows the picture
            if not held.message.picture.is_known or self._flight.join(held.message.picture, held)
        ]
        pictures = [held.message.picture for held in leading]
        # one that comes again may have been read by somebody who was killed then
        again = {held.message.picture for held in leading if held.message.receives > 1}
        just_kept = again | self._flight.just_kept(pictures)
        answers = self._ledger.answers(TextAnswer.KIND, pictures, just_kept)
        known: list[tuple[Held, Result]] = []
        unknown = []
        for held in leading:
            picture = held.message.picture
            if packed := answers.get(picture):
                answer = TextAnswer.unpack(packed)
                alike = [held, *self._flight.land(picture, held)]
                results = [(each, self._result(each, answer, known=True)) for each in alike]
                known += self._suspicion.success(*results)
            else:
                unknown.append(held)
        return known, unknown

    def _read(self, held: Held) -> None:
        began = time.monotonic()
        with bound_contextvars(run=held.message.run, index=held.message.index):
            results = None if self._stop else self._look(held)
            if results is None:
                self._give_back(held)
                return
            self._complete(results, began)
        # its answer is durable by now, or it has none
        self._land(held)

    def _land(self, held: Held) -> None:
        """Has its copies go on: with its answer, or where it has none with one of them to lead."""
        began = time.monotonic()
        if copies := self._flight.land(held.message.picture, held, just_kept=True):
            known, unknown = self._look_up(copies)
            self._complete(known, began)
            for copy in unknown:
                self.pool.submit(self._read, copy)

    def _complete(self, results: list[tuple[Held, Result]], began: float) -> None:
        if not results:
            return
        # committed before its message is deleted
        self._ledger.complete([result for _, result in results]).result()
        for held, result in results:
            self._delete(held)
            self._output.has_news(result.run)
            _log_result(result, began)

    def _look(self, held: Held) -> list[tuple[Held, Result]] | None:
        """Reads an image; empty when its result is kept back, None when it is left to a
        redelivery.
        """
        message = held.message
        try:
            answer = self._recognizer.text(message.index, message.picture.etag)
        except StoppedError:
            return None
        except AccessError as error:
            return self._failed(held, str(error), RunError(error))
        except ImageError as error:
            return self._failed(held, str(error))
        except PassingError as error:
            # not the receives: a restart of a worker is nothing that an image has done
            self._tries[held.key] += 1
            tries = self._tries[held.key]
            if tries < self._settings.tries and message.receives < self._last_receive:
                log.warning("given back", error=str(error), tries=tries)
                return None
            failure = f"failed {tries} times: {error}"
            return self._failed(held, failure, OutageError(failure))
        if message.picture.is_known and not answer.doubtful:
            self._ledger.keep(message.picture, answer)
        return self._suspicion.success((held, self._result(held, answer)))

    def _failed(
        self, held: Held, failure: str, everybodys: RunError | OutageError | None = None
    ) -> list[tuple[Held, Result]]:
        failed = held, self._result(held, failure=failure)
        return self._suspicion.failure(failed, everybodys, held.message.by_hand)

    def _result(self, held: Held, answer: TextAnswer | None = None, **found: Any) -> Result:
        message = held.message
        return Result(
            message.run,
            message.index,
            message.labels,
            self._question.chosen(answer.lines, message.labels) if answer else (),
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            by_hand=message.by_hand,
            **found,
        )

    def _delete(self, held: Held) -> None:
        for receipt in self.in_flight.leave(held):
            self._deleter.put(receipt)

    def _give_back(self, held: Held) -> None:
        delay = 0 if self._stop else REDELIVERY_SECONDS * self._tries[held.key]
        for each in (held, *self._flight.land(held.message.picture, held)):
            try:
                self.in_flight.give_back(each, delay)
            except StoppedError:
                # their timeout does it later
                log.warning("not given back")


def _log_result(result: Result, began: float) -> None:
    milliseconds = round((time.monotonic() - began) * 1000)
    if result.failure:
        say(Failed(result.index, result.failure, milliseconds), "warning")
    else:
        text = " | ".join(line.text for line in result.lines)
        say(TextRead(result.index, text, milliseconds))
