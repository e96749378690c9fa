"""All that the text worker has in its hands: copies, duplicates, failures, a heartbeat, a stop."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from tests.orders.scenarios import (
    DELAY,
    TIMEOUT,
    HidingQueue,
    call_takes_its_time,
    message,
    together,
)
from workers import reader
from workers.answer import TextAnswer
from workers.errors import PassingError
from workers.index_queue.batcher import GATHER_SECONDS
from workers.model import Picture, RunProgress, TextLine
from workers.settings import Settings
from workers.threads import stop, ticker

OTHER = Picture("other", 1)
# once: what a process makes at its first use would be a point of the first run only
TextAnswer.unpack(TextAnswer((TextLine("", 99.0),)).pack())


class Ledger:
    """A ledger in memory, whose commits take their time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._answers: dict[Picture, bytes] = {}

    def not_done(self, _: str, indexes: list[str], __: set[str]) -> set[str]:
        return {*indexes} - {*self.done}

    def answers(self, _: str, pictures: list[Picture], __: set[Picture]) -> dict[Picture, bytes]:
        return {p: self._answers[p] for p in pictures if p in self._answers}

    def keep(self, picture: Picture, answer: TextAnswer) -> None:
        self._answers[picture] = answer.pack()

    def complete(self, results: list[Any]) -> Future[None]:
        future: Future[None] = Future()
        call_takes_its_time()
        self.done += [result.filed for result in results]
        future.set_result(None)
        return future


class TextWorkersHands:
    """A reader with two threads, and what becomes of its images; some take `seconds`."""

    def __init__(self, seconds: dict[str, float], failing: str = "") -> None:
        self.queue, self.ledger, self.stop = HidingQueue(), Ledger(), stop.Stop()
        self.asked: list[str] = []
        self._seconds, self._failing = seconds, failing
        settings = Settings.model_construct(
            in_flight=2, visibility_timeout=TIMEOUT, retry_seconds=1, tries=3
        )
        services: Any = SimpleNamespace(
            recognizer=self, ledger=self.ledger, index_queue=self.queue, bucket=None
        )
        output: Any = SimpleNamespace(has_news=lambda _: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reader, "DELETE_LINGER_SECONDS", GATHER_SECONDS)
            self.reader = reader.Reader(settings, services, output, self.stop, RunProgress(0, 0, 0))
        held = self.reader.in_flight
        held._clock = time.monotonic
        self._heartbeat = ticker.Ticker("heartbeat", TIMEOUT / 3, held.renew, self.stop)

    def text(self, index: str, _: str) -> TextAnswer:
        self.asked.append(index)
        time.sleep(self._seconds.get(index, 0))
        if index == self._failing:
            raise PassingError("busy")
        return TextAnswer((TextLine(index, 99.0),))

    def close(self) -> None:
        self.reader.close()
        self._heartbeat.close()
        self.reader.flush()


def images_with_copies_and_duplicates() -> None:
    """Each picture is paid for once, each image done once, each message deleted, nothing held."""
    hands = TextWorkersHands({})
    hands.reader.take([message("a"), message("b", "2.jpg")])
    hands.reader.take([message("c", "2.jpg"), message("d", "3.jpg", OTHER)])
    hands.close()
    assert len(hands.asked) == 2
    assert sorted(hands.ledger.done) == ["1.jpg", "2.jpg", "3.jpg"]
    assert sorted(hands.queue.deleted) == ["a", "b", "c", "d"]
    assert len(hands.reader.in_flight) == 0


def an_image_that_is_left_to_a_redelivery() -> None:
    """It comes again after its delay, whatever the heartbeat does; the others are done."""
    hands = TextWorkersHands({"1.jpg": TIMEOUT / 3}, failing="1.jpg")
    hands.reader.take([message("a"), message("b", "2.jpg", OTHER)])
    hands.close()
    assert (hands.ledger.done, hands.queue.deleted) == (["2.jpg"], ["b"])
    assert hands.queue.hidden["a"] == DELAY


def a_stop_at_any_time() -> None:
    """Each message is deleted once its image is done, or given back at once; nothing is held."""
    hands = TextWorkersHands({})
    # however slow a thread is, nothing hangs
    hands.reader.in_flight._longest = math.inf
    messages = [message("a"), message("b", "2.jpg"), message("c", "3.jpg", OTHER)]
    together(lambda: hands.reader.take(messages), hands.stop.ask)
    hands.close()
    by_index = {each.index: each.receipt for each in messages}
    deleted = {by_index[index] for index in hands.ledger.done}
    given_back = {receipt for receipt, seconds in hands.queue.hidden.items() if not seconds}
    assert ({*hands.queue.deleted}, given_back) == (deleted, {"a", "b", "c"} - deleted)
    assert len(hands.reader.in_flight) == 0


def an_image_that_hangs_while_the_worker_stops() -> None:
    """Its copy, which came later, is given back, and the worker ends."""
    hands = TextWorkersHands({"1.jpg": 3 * TIMEOUT})
    hands.reader.take([message("a")])
    time.sleep(TIMEOUT / 2)
    hands.reader.take([message("b", "2.jpg")])
    hands.stop.ask()
    hands.close()
    assert hands.queue.hidden["b"] == 0
    assert hands.ledger.done == ["1.jpg"]
