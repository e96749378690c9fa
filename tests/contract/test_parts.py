"""The parts of a fleet: one lists, whoever is free takes, what dies with a worker comes again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.aws.server import Sandbox
from tests.contract.conftest import RUN, client_of_table, decision, open_table, settings
from tests.unit.fakes import FakeS3
from tests.unit.scene import soon
from workers import suspicion
from workers.answer import LabelAnswer
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import AccessError, OutageError, RunError
from workers.images.bucket import Bucket
from workers.label_worker import LabelWorker
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.model import Listed, Part, RunEnd
from workers.parts import lister as lister_module
from workers.parts.lister import LEAST_IMAGES, Lister
from workers.parts.queue import PartQueue
from workers.parts.shared import SharedParts
from workers.services import Fleet, Services
from workers.settings import Settings
from workers.threads.stop import Stop

KEYS = [f"{number:03d}.jpg" for number in range(205)]


class KilledError(Exception):
    """The process is not there any more."""


@dataclass
class Town:
    """An account with a fleet in it; `living` are the workers that are alive."""

    own: Settings
    table: Any
    s3: FakeS3
    ledgers: list[DynamoDbLedger] = field(default_factory=list)
    living: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    """Of whom somebody has found that they are dead."""

    def services(self, worker: str) -> Services:
        """What a worker of the fleet has."""
        self.living.add(worker)
        self.ledgers.append(open_table(self.table))
        ledger, calls = self.ledgers[-1], Calls(self.own, Stop())
        (sqs,) = make_clients(self.own, "sqs")
        url: Any = self.own.parts_queue_url
        alive: Any = SimpleNamespace(worker=worker, living=lambda: {*self.living, worker})
        alive.table = ledger.fleet
        alive.is_free = lambda other: other not in {*self.living, worker}
        alive.has_left = lambda other: other in self.gone
        fleet = Fleet(alive, PartQueue(sqs, calls, url, self.own))
        s3: Any = self.s3
        nobody: Any = None
        return Services(ledger, Bucket(s3, calls, self.own), nobody, nobody, fleet)

    def lister(self, worker: str, **more: Any) -> Lister:
        services = self.services(worker)
        assert services.fleet
        return Lister(self.own, services, services.fleet, more.get("of"), more.get("stop", Stop()))

    def taker(self, worker: str, stop: Stop) -> SharedParts:
        services = self.services(worker)
        assert services.fleet
        return SharedParts(self.own, services, services.fleet, None, stop)

    @property
    def ledger(self) -> DynamoDbLedger:
        return self.ledgers[0]

    @property
    def on_queue(self) -> list[int]:
        """The parts on the queue, each as often as it is there; they stay hidden."""
        queue = self.services("nobody").fleet
        self.living.discard("nobody")
        assert queue
        found: list[int] = []
        while messages := queue.parts_queue.receive(10, 0):
            found += [message.number or 0 for message in messages]
        return sorted(found)


@pytest.fixture
def town(moto: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    table = client_of_table(moto, monkeypatch)
    own = settings(
        run=RUN,
        ledger="dynamodb://ledger",
        parts_queue_url=moto.create_queue("parts"),
        quota=1,
        visibility_timeout=30,
        retry_seconds=5,
    )
    made = Town(own, table, FakeS3(dict.fromkeys(KEYS, b"x"), page_size=50))
    yield made
    for ledger in made.ledgers:
        ledger.close()


def images_in(town: Town) -> list[str]:
    bucket = town.services("nobody").bucket
    town.living.discard("nobody")
    return [image.index for part in town.ledger.open_parts(RUN) for image in bucket.part(part)]


def test_one_lists_all_into_parts_that_are_small_and_sends_each_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = town.lister("first")
    send = first._queue.send_parts

    def sends(numbers: list[int]) -> None:
        # who takes one before it is kept would take it for done
        assert all(town.ledger.fleet.part(RUN, number) for number in numbers)
        send(numbers)

    monkeypatch.setattr(first._queue, "send_parts", sends)
    first.go_on()
    town.lister("second").go_on()
    parts = list(town.ledger.open_parts(RUN))
    assert all(part.images <= LEAST_IMAGES for part in parts)
    assert images_in(town) == KEYS
    assert town.on_queue == [part.number for part in parts]
    listed = town.ledger.listed(RUN)
    assert (listed.whole, listed.images, listed.lister) == (True, len(KEYS), "first")


@pytest.mark.parametrize("killed", ["before it keeps them", "before it sends them"])
def test_another_one_goes_on_where_a_dead_lister_was(
    town: Town, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    monkeypatch.setattr(lister_module, "PARTS_AT_ONCE", 2)
    first, rounds = town.lister("first"), 0

    def dies(*_: Any) -> Any:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise KilledError
        return real(*_)

    if killed == "before it keeps them":
        real: Callable[..., Any] = first._ledger.fleet.list_parts  # type: ignore[union-attr]
        monkeypatch.setattr(first._ledger.fleet, "list_parts", dies)
    else:
        real = first._queue.send_parts
        monkeypatch.setattr(first._queue, "send_parts", dies)
    with pytest.raises(KilledError):
        first.go_on()
    reached = town.ledger.listed(RUN)
    assert not reached.whole
    second = town.lister("second")
    second.go_on()
    assert town.ledger.listed(RUN) == reached, "while the first is taken for alive"
    town.living.discard("first")
    town.s3.listings.clear()
    second.go_on()
    assert town.ledger.listed(RUN).whole
    assert next(each.get("StartAfter") for each in town.s3.listings) == reached.reached
    assert images_in(town) == KEYS
    numbers = [part.number for part in town.ledger.open_parts(RUN)]
    assert numbers == list(range(1, 1 + len(numbers)))
    assert set(town.on_queue) == set(numbers), "some of them twice, for nobody knew"


def test_who_stops_lists_no_more_and_the_next_one_knows_how_many_there_are(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lister_module, "PARTS_AT_ONCE", 2)
    stop = Stop()
    first = town.lister("first", stop=stop, of=len(KEYS))
    monkeypatch.setattr(first._queue, "send_parts", lambda _: stop.ask())
    first.go_on()
    listed = town.ledger.listed(RUN)
    assert (listed.parts, listed.whole, listed.total) == (2, False, len(KEYS))
    town.living.discard("first")
    second = town.lister("second")
    monkeypatch.setattr(second._queue, "send_parts", lambda _: town.living.discard("second"))
    second.go_on()
    assert town.ledger.listed(RUN).of == len(KEYS)
    assert images_in(town) == KEYS


def test_one_that_was_taken_for_dead_lists_no_more(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lister_module, "PARTS_AT_ONCE", 2)
    first, second = town.lister("first"), town.lister("second")
    real = first._queue.send_parts

    def stands_still(numbers: list[int]) -> None:
        town.living.discard("first")
        second.go_on()
        town.living.add("first")
        real(numbers)

    monkeypatch.setattr(first._queue, "send_parts", stands_still)
    first.go_on()
    assert images_in(town) == KEYS
    assert town.ledger.listed(RUN).lister == "second"


def test_the_parts_of_a_dead_worker_come_again_and_no_others(town: Town) -> None:
    lister = town.lister("lister")
    town.living |= {"dies", "lives"}
    lister.go_on()
    sent = town.on_queue
    for number, worker in ((1, "dies"), (2, "lives"), (3, "dies")):
        assert town.ledger.fleet.take_part(RUN, number, worker, "")
    lister.go_on()
    assert town.on_queue == []
    town.living.discard("dies")
    lister.go_on()
    assert town.on_queue == [1, 3]
    assert len(sent) > 3


def test_what_the_queue_has_lost_comes_again_once_it_is_empty(town: Town) -> None:
    lister = town.lister("lister")
    lister.go_on()
    sent = town.on_queue
    lister._look_again = 0
    lister.go_on()
    assert town.on_queue == [], "they are in flight"
    lister._queue._sqs.purge_queue(QueueUrl=str(town.own.parts_queue_url))
    assert town.ledger.fleet.take_part(RUN, 1, "lister", "")
    lister._look_again = 0
    lister.go_on()
    assert town.on_queue == sent[1:], "all but those in somebody's hands"


def test_parts_are_taken_each_by_one_worker_and_come_to_their_end(town: Town) -> None:
    """Though each message comes twice, and one of another run, and nonsense."""
    town.lister("first").go_on()
    queue = town.services("first").fleet
    assert queue
    whole = list(town.ledger.open_parts(RUN))
    numbers = [part.number for part in whole]
    queue.parts_queue.send_parts(numbers)
    assert town.ledger.fleet.take_part(RUN, 1, "first", "")
    queue.parts_queue.send([{"MessageBody": "nonsense"}, {"MessageBody": "7"}])
    stop, found = Stop(), dict[str, list[str]]()

    def work(name: str) -> None:
        found[name] = []
        source = town.taker(name, stop)
        for taken in source.taken():
            if taken:
                part, images = taken
                found[name] += [image.index for image in images]
                assert {image.part for image in images} == {part.number}
                source.done(part.number)
        source.close()

        if town.ledger.listed(RUN).lister == name:
            ended.append(name)
            town.ledger.end_run(RunEnd(RUN, len(KEYS))).result()

    ended: list[str] = []
    threads = [threading.Thread(target=work, args=[name]) for name in ("second", "third")]
    for thread in threads:
        thread.start()
    while [part.number for part in town.ledger.open_parts(RUN)] != [1]:
        time.sleep(0.1)
    assert not {*KEYS[: whole[0].images]} & {*found["second"], *found["third"]}
    # it is dead, and the lister sends its part again
    town.living.discard("first")
    queue.parts_queue.send_parts([1])
    for thread in threads:
        thread.join(60)
    assert sorted(found["second"] + found["third"]) == KEYS
    assert all(found.values())
    assert list(town.ledger.open_parts(RUN)) == []
    assert town.ledger.label_counts(RUN).parts == len(numbers)
    assert len(ended) == 1, "who lists ends the run, and the other one waits for that"
    assert queue.parts_queue.is_empty(), "nothing is left behind"


def test_nobody_leaves_while_somebody_else_has_a_part(town: Town) -> None:
    town.lister("lister").go_on()
    last, *others = list(town.ledger.open_parts(RUN))
    for part in others:
        town.ledger.end_part(RUN, part.number).result()
    town.living.add("other")
    assert town.ledger.fleet.take_part(RUN, last.number, "other", "")
    taken = town.taker("lister", Stop()).taken()
    assert [next(taken) for _ in range(3)] == [None] * 3
    town.ledger.end_part(RUN, last.number).result()
    assert not any(taken)


def test_nobody_leaves_before_the_listing_is_whole(town: Town) -> None:
    town.lister("lister")
    assert town.ledger.fleet.take_listing(RUN, "lister", "")
    first = Part(1, "", KEYS[0], 1)
    listed = replace(Listed(lister="lister").behind(first), whole=False)
    town.ledger.list_parts(RUN, [first], listed).result()
    town.ledger.end_part(RUN, 1).result()
    town.ledger.end_run(RunEnd(RUN, 0)).result()
    taken = town.taker("waits", Stop()).taken()
    assert [next(taken) for _ in range(3)] == [None] * 3


def test_a_part_in_hand_comes_to_nobody_else_for_as_long_as_it_takes(town: Town) -> None:
    town.own = town.own.model_copy(update={"visibility_timeout": 3})
    town.lister("first").go_on()
    source = town.taker("second", Stop())
    taken = next(source.taken())
    assert taken
    time.sleep(town.own.visibility_timeout + 1)
    assert taken[0].number not in town.on_queue
    source.close()


def test_a_part_of_one_whose_death_the_lister_knows_first_is_taken_all_the_same(
    town: Town,
) -> None:
    town.lister("lister").go_on()
    town.services("dead")
    assert town.ledger.fleet.take_part(RUN, 1, "dead", "")
    while town.on_queue:
        pass
    queue = town.services("lister").fleet
    assert queue
    queue.parts_queue.send_parts([1])
    source = town.taker("second", Stop())
    assert next(source.taken()) is None, "it lives, as far as anybody knows"
    town.gone.add("dead")
    queue.parts_queue.send_parts([1])
    taken = next(filter(None, source.taken()))
    assert taken[0].number == 1
    source.close()


def test_a_part_that_comes_back_to_one_who_was_taken_for_dead_is_worked_on_once(
    town: Town,
) -> None:
    town.lister("lister").go_on()
    source = town.taker("frozen", Stop())
    found = source.taken()
    taken = next(found)
    assert taken
    number = taken[0].number
    while town.on_queue:
        pass
    # another one had it, and has given it back
    assert town.ledger.fleet.take_part(RUN, number, "", "frozen")
    queue = town.services("lister").fleet
    assert queue
    queue.parts_queue.send_parts([number])
    assert next(found) is None
    assert town.ledger.fleet.part(RUN, number).by == "frozen"  # type: ignore[union-attr]
    source.done(number)
    soon(lambda: not source._receipts)
    source.close()
    assert number not in {part.number for part in town.ledger.open_parts(RUN)}
    assert town.on_queue == []


def test_a_fleet_that_may_see_no_image_ends_and_says_why(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Any:
        raise AccessError("AccessDenied")

    monkeypatch.setattr(suspicion, "SILENT_SECONDS", 1.5)
    services, stop = town.services("alone"), Stop()
    queue: Any = SimpleNamespace(max_receives=lambda: None, send=None, calls_made=0)
    seer: Any = SimpleNamespace(labels=refuse, paid_calls=0, throttled_calls=0)
    worker = LabelWorker(town.own, replace(services, recognizer=seer, index_queue=queue), stop)
    town.s3.objects = dict.fromkeys(KEYS[:30], b"x")
    with pytest.raises(RunError, match=r"no image could be looked at, 30 were tried.*AccessDenied"):
        worker.run()
    assert town.ledger.label_counts(RUN).decided == 0
    assert [part.by for part in town.ledger.open_parts(RUN)] == ["", ""]
    assert town.on_queue == [1, 2]


def test_the_message_of_a_part_stays_where_it_is_not_kept_that_it_is_done(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.lister("first").go_on()
    source, failed = town.taker("second", Stop()), Future[None]()
    taken = next(source.taken())
    assert taken
    failed.set_exception(OutageError("no answer"))
    monkeypatch.setattr(source._ledger, "end_part", lambda *_: failed)
    source.done(taken[0].number)
    source.close()
    assert taken[0].number in town.on_queue


def test_a_part_whose_end_cannot_be_kept_ends_its_worker(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would hide the part from all others for as long as it lives, and none would end."""
    town.lister("first").go_on()
    stop, lost = Stop(), OutageError("no answer")
    source = town.taker("second", stop)
    found = source.taken()
    taken = next(found)
    assert taken
    failed = Future[None]()
    failed.set_exception(lost)
    monkeypatch.setattr(source._ledger, "end_part", lambda *_: failed)
    source.done(taken[0].number)
    assert stop.error is lost
    assert list(found) == []
    source.close()


def test_what_a_dead_worker_had_not_sent_is_sent_though_it_is_deleted(town: Town) -> None:
    town.s3.objects = dict.fromkeys(KEYS[:40], b"x")
    town.lister("dead").go_on()
    for number, key in ((1, KEYS[5]), (2, KEYS[25])):
        assert town.ledger.fleet.take_part(RUN, number, "dead", "")
        town.ledger.decide([decision(key, part=number)]).result()
        town.s3.objects.pop(key, None)
    town.living.discard("dead")
    town.gone.add("dead")
    services, stop, sent = town.services("alone"), Stop(), list[Any]()
    queue: Any = SimpleNamespace(max_receives=lambda: None, send=sent.extend, calls_made=0)
    none = LabelAnswer(55.0, "3.0", ())
    seer: Any = SimpleNamespace(labels=lambda *_: none, paid_calls=0, throttled_calls=0)
    LabelWorker(town.own, replace(services, recognizer=seer, index_queue=queue), stop).run()
    assert [entry["MessageBody"] for entry in sent] == [KEYS[5], KEYS[25], "-1"]


def test_when_the_lister_dies_at_the_end_another_one_ends_the_run(town: Town) -> None:
    town.lister("lister").go_on()
    for part in list(town.ledger.open_parts(RUN)):
        town.ledger.end_part(RUN, part.number).result()
    waits = town.taker("waits", Stop()).taken()
    assert [next(waits) for _ in range(3)] == [None] * 3
    town.living.discard("lister")
    assert not any(waits)
    assert town.ledger.listed(RUN).lister == "waits"


def test_a_worker_that_stops_gives_back_what_it_has_in_hand(town: Town) -> None:
    town.lister("first").go_on()
    stop = Stop()
    source = town.taker("second", stop)
    taken = next(source.taken())
    assert taken
    part, _ = taken
    assert town.ledger.fleet.part(RUN, part.number).by == "second"  # type: ignore[union-attr]
    stop.ask()
    source.close()
    assert town.ledger.fleet.part(RUN, part.number).by == ""  # type: ignore[union-attr]
    assert part.number in town.on_queue
