"""How the label worker decides about images: from answers that are kept, else by looking, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from workers.answer import LabelAnswer
from workers.errors import (
    AccessError,
    ImageError,
    OutageError,
    PassingError,
    RunError,
    StoppedError,
)
from workers.events import Failed, Known, Labelled, NotLabelled, say
from workers.images.limits import unfit
from workers.model import Decision, Image, LabelCounts, Picture
from workers.question import LabelQuestion, Seen
from workers.services import Services
from workers.settings import Settings
from workers.single_flight import SingleFlight
from workers.suspicion import Suspicion
from workers.threads.pool import BoundedPool
from workers.threads.stop import Stop

log = structlog.get_logger()

# images beyond the ones in flight that wait for a thread, while the next page is listed; in a fleet
# somebody else may be free for them
BACKLOG = 1000
# set aside for another try; when so many fail it is not the images
MOST_SET_ASIDE = 10_000


class Decider:
    """Takes the images that a run has not decided, part by part; hands on what it has decided.

    `before` is how far earlier starts have come.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        hand_on: Callable[[list[Decision]], object],
        stop: Stop,
        before: LabelCounts,
    ) -> None:
        self._settings = settings
        self._ledger = services.ledger
        self._recognizer = services.recognizer
        self._hand_on = hand_on
        self._stop = stop
        self._question = LabelQuestion.of(settings)
        self._suspicion: Suspicion[Decision] = Suspicion(before.decided > before.failed)
        self._flight: SingleFlight[Image] = SingleFlight()
        self._pool = BoundedPool(settings.slots, stop, 0 if services.fleet else BACKLOG)
        # with the number of the try that it waits for
        self._set_aside: list[tuple[Image, int]] = []
        self._failures = 0
        self._lock = threading.Lock()
        self.busy = threading.Event()
        """Set as soon as there is more to be looked at than can be at once."""

    def page(self, images: list[Image]) -> None:
        """Decides what can be known at once, and has the rest looked at."""
        for image in self._unknown(images):
            self._submit(image, 1)

    def _unknown(self, images: list[Image]) -> list[Image]:
        """Decides what can be known at once, and returns what is to be looked at, no copies."""
        began = time.monotonic()
        decided: list[Decision] = []
        leading: dict[Picture, Image] = {}
        for image in images:
            picture = image.picture
            if broken := unfit(image):
                decided.append(self._decision(image, failure=broken))
            elif self._flight.join(picture, image):
                leading[picture] = image
        just_kept = self._flight.just_kept(leading)
        answers = self._ledger.answers(LabelAnswer.KIND, [*leading], just_kept)
        unknown = []
        for picture, image in leading.items():
            packed = answers.get(picture)
            if packed and (seen := self._question.ask(packed)):
                alike = [image, *self._flight.land(picture, image)]
                decided += self._suspicion.success(*[self._seen(it, seen, True) for it in alike])
            else:
                unknown.append(image)
        self._keep(decided, began)
        return unknown

    def finish(self) -> None:
        """Waits until all are decided, those also that were set aside."""
        self._pool.wait_until_idle()
        while self._set_aside and not self._stop:
            self.try_again()
            self._pool.wait_until_idle()
        if not self._stop:
            self._suspicion.give_up()

    def try_again(self) -> None:
        """Has those looked at that were set aside, if nothing else is left to do; then what is kept
        back depends on the other workers.
        """
        if self._pool.held:
            return
        again, self._set_aside = self._set_aside, []
        for image, attempt in again:
            self._submit(image, attempt)
        if len(self._suspicion) and not again:
            counts = self._ledger.label_counts(self._settings.run)
            self._keep(self._suspicion.hear(counts.decided, counts.failed), time.monotonic())

    def close(self) -> None:
        """Lets go of the threads once what they look at is done."""
        self._pool.close()

    def _submit(self, image: Image, attempt: int) -> None:
        if self._pool.is_full:
            self.busy.set()
        self._pool.wait_for_room()
        self._stop.raise_error()
        self._pool.submit(self._decide, image, attempt)

    def _decide(self, image: Image, attempt: int) -> None:
        if self._stop:
            return
        began = time.monotonic()
        with bound_contextvars(index=image.index):
            decided = self._look(image, attempt)
            if decided is None:
                return
            self._keep(decided, began)
        # by now its answer is durable, for its copies too; where it has none, the next one leads
        if copies := self._flight.land(image.picture, image, just_kept=True):
            for copy in self._unknown(copies):
                self._pool.submit(self._decide, copy, attempt)

    def _look(self, image: Image, attempt: int) -> list[Decision] | None:
        """Asks about an image; None when it is left for later, empty when that is kept back."""
        try:
            answer = self._recognizer.labels(image.index, image.etag, self._question.floor)
        except StoppedError:
            return None
        except AccessError as error:
            return self._failed(image, str(error), RunError(error))
        except ImageError as error:
            return self._failed(image, str(error))
        except PassingError as error:
            if attempt < self._settings.tries:
                self._put_aside(image, attempt + 1, error)
                return None
            failure = f"failed {attempt} times: {error}"
            return self._failed(image, failure, OutageError(failure))
        if not answer.doubtful:
            # durable before the decision is: else that would be all that is left of it
            self._ledger.keep(image.picture, answer)
        return self._suspicion.success(self._seen(image, self._question.seen(answer)))

    def _failed(
        self, image: Image, failure: str, everybodys: RunError | OutageError | None = None
    ) -> list[Decision]:
        return self._suspicion.failure(self._decision(image, failure=failure), everybodys)

    def _put_aside(self, image: Image, attempt: int, error: PassingError) -> None:
        log.warning("set aside", error=str(error), next_try=attempt)
        with self._lock:
            self._set_aside.append((image, attempt))
            self._failures += 1
        if self._failures >= MOST_SET_ASIDE:
            raise OutageError(f"{MOST_SET_ASIDE} images failed; the last one: {error}")

    def _seen(self, image: Image, seen: Seen, known: bool = False) -> Decision:
        return self._decision(image, labels=seen.found, near=seen.near, known=known)

    def _decision(self, image: Image, **found: Any) -> Decision:
        return Decision(self._settings.run, image.part, image.index, image.picture, **found)

    def _keep(self, decided: list[Decision], began: float) -> None:
        if not decided:
            return
        # kept before it is sent: the end counts what is kept, and B what was sent
        decided = self._ledger.decide(decided).result()
        self._hand_on(decided)
        milliseconds = round((time.monotonic() - began) * 1000)
        for decision in decided:
            if not decision.known:
                self._log_decision(decision, milliseconds)
        # there may be a million of these: a line for all of a page
        if known := [decision for decision in decided if decision.known]:
            say(Known(len(known), sum(bool(decision.labels) for decision in known)))

    def _log_decision(self, decision: Decision, milliseconds: int) -> None:
        index, near = decision.index, decision.near
        if decision.failure:
            say(Failed(index, decision.failure, milliseconds), "warning")
        elif decision.labels:
            name = ", ".join(label.name for label in decision.labels)
            confidence = round(decision.labels[0].confidence, 2)
            say(Labelled(index, name, confidence, milliseconds))
        else:
            below = f"below {self._settings.min_confidence:g}"
            said = f"{near.name} {round(near.confidence, 2):g} %, {below}" if near else None
            say(NotLabelled(index, milliseconds, said))
