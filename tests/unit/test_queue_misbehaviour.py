"""The rule of the end, against a queue that does everything that a queue may do.

Both workers really run, with threads, on ledgers on disk; they are killed at random moments and
started again. A killed worker's threads may run on for a moment: nothing that they do then counts.
"""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tenacity import wait_none

from console.services import services_on
from tests.unit.fakes import FakeS3, client, client_error, png
from tests.unit.unruly_queue import (
    LABEL_WORKER,
    MALFORMED,
    SOMEBODY_ELSE,
    Message,
    UnrulyQueue,
    written_by_hand,
)
from workers import reader
from workers.aws.calls import Calls
from workers.ending import expected
from workers.errors import WorkerError
from workers.index_queue.messages import end_entry, image_entry, parse
from workers.label_worker import LabelWorker
from workers.ledger import SqliteLedger
from workers.model import NO_PICTURE, Decision, Label, Picture, RunEnd, natural_key
from workers.settings import Settings
from workers.text_worker import TextWorker
from workers.threads.stop import Stop

PATIENCE_SECONDS = 15
RUN = "today"
OTHER_RUN = "yesterday"
BELIEVED = LABEL_WORKER.partition(":")[0]

ODD = [entry["MessageAttributes"] for entry in MALFORMED]
FORGED = (
    end_entry(RunEnd(RUN, 0)),
    end_entry(RunEnd(RUN, 3)),
    end_entry(RunEnd(RUN, 10**12)),
    written_by_hand("-1"),
    image_entry(Decision(RUN, 0, "in/1.jpg", Picture('"other"', 7), (Label("Car", 95.0),))),
    image_entry(Decision(RUN, 0, "in/none.jpg", NO_PICTURE, (Label("Car", 95.0),))),
)


class Killed(Exception):  # noqa: N818 - it is an end, not an error
    """The worker is gone."""


@dataclass
class Life:
    """One start of a worker; it ends at its step number `steps` (None: of its own accord)."""

    steps: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    dead: bool = False

    def step(self) -> None:
        with self.lock:
            if self.steps is not None:
                self.steps -= 1
                self.dead = self.dead or self.steps < 0
            if self.dead:
                raise Killed


class Mortal:
    """An object each of whose calls is two steps of a life: one before it, one after it."""

    def __init__(self, inner: Any, life: Life, only: tuple[str, ...] = ()) -> None:
        self._inner, self._life, self._only = inner, life, only

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or (self._only and name not in self._only):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.step()
            answer = found(*args, **kwargs)
            self._life.step()
            return answer

        return call


class World:
    """A bucket, a queue and a Rekognition, shared by all lives; what was paid for is noted."""

    def __init__(self, seed: int, images: int, queue: UnrulyQueue, folder: Path) -> None:
        self.random = random.Random(seed)
        self.queue = queue
        self.folder = folder
        keys = [f"in/{number}.jpg" for number in range(1, images + 1)]
        self.cars = {key for key in keys if self.random.random() < 0.6}
        self.others = {f"other/{number}.jpg" for number in range(self.random.randint(0, 4))}
        content = {key: png(tail=key.encode()) for key in (*keys, *self.others)}
        self.s3 = FakeS3(content, page_size=7)
        self.by_content = {data: key for key, data in content.items()}
        self.with_text = {key for key in content if self.random.random() < 0.5}
        self.reads: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.strange: list[str] = []
        self.lock = threading.Lock()

    def text_of(self, key: str) -> list[str]:
        return [f"text of {key}"] if key in self.with_text else []

    def _weather(self) -> None:
        with self.lock:
            dice, pause = self.random.random(), self.random.uniform(0, 0.004)
        time.sleep(pause)
        if dice < 0.03:
            raise client_error("ThrottlingException")
        if dice < 0.06:
            raise client_error("InternalServerError", 500)

    def rekognition(self, ledger: SqliteLedger, run: str) -> Any:
        looked: set[str] = set()

        def once(key: str, counter: Counter[str], open_keys: set[str]) -> None:
            with self.lock:
                counter[key] += 1
                assert key not in looked, f"{key} is paid for twice in one life"
                assert key in open_keys, f"{key} is paid for though it is committed"
                looked.add(key)

        def detect_text(Image: dict[str, Any]) -> Any:  # noqa: N803
            self._weather()
            key = self.by_content[Image["Bytes"]]
            of = OTHER_RUN if key in self.others else run
            once(key, self.reads, ledger.not_done(of, [key]))
            polygon = {"Polygon": []}
            return {
                "TextDetections": [
                    {"DetectedText": t, "Type": "LINE", "Confidence": 99.0, "Geometry": polygon}
                    for t in self.text_of(key)
                ]
            }

        def detect_labels(Image: dict[str, Any], **_: Any) -> Any:  # noqa: N803
            self._weather()
            key = Image["S3Object"]["Name"]
            once(key, self.looks, ledger.undecided(run, [key]))
            return {"Labels": [{"Name": "Car", "Confidence": 95.0}] if key in self.cars else []}

        return client(detect_text=detect_text, detect_labels=detect_labels)

    def _is_kept(self, message: Message, ledger: SqliteLedger) -> None:
        got = parse(message.as_received(), RUN, BELIEVED)
        assert not got.problem, "a message that was refused is deleted"
        if got.end:
            assert expected(ledger.progress(got.run)) is not None
        elif got.foreign_end:
            assert ledger.progress(got.run).foreign_end
        else:
            assert not ledger.not_done(got.run, [got.index]), "deleted before it is committed"

    def live(self, kind: type[LabelWorker | TextWorker], settings: Settings, life: Life) -> None:
        """One start of a worker on its ledger; returns when it is done, raises when it is not."""
        inner = SqliteLedger(self.folder / f"{kind.__name__}.sqlite3")
        stop = Stop()
        try:
            writes = ("decide", "sent", "end_run", "complete", "record_end", "record_foreign_end")
            services = (self.s3, self.queue, self.rekognition(inner, settings.run))
            clients = tuple(Mortal(service, life) for service in services)
            calls = Calls(settings, stop, backoff=wait_none())
            services = services_on(settings, Mortal(inner, life, writes), stop, calls, clients)
            worker = kind(settings, services, stop)
            if kind is TextWorker:
                self.queue.before_delete = lambda message: self._is_kept(message, inner)
            worker.run()
            life.step()
        finally:
            life.dead = True
            stop.fail(Killed())
            inner.close()

    def live_until_done(
        self, kind: type[LabelWorker | TextWorker], settings: Settings, lives: list[int]
    ) -> int:
        """Starts a worker again and again; returns how often it was killed."""
        for kills, steps in enumerate(lives):
            try:
                self.live(kind, settings, Life(steps))
            except Killed:
                continue
            return kills
        while True:
            try:
                self.live(kind, settings, Life())
            except WorkerError as error:
                # a start that ends for an outage is one that systemd repeats
                assert error.exit_status == 75, error
                continue
            return len(lives)


@contextmanager
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "DELETE_LINGER_SECONDS", 0.005)
        yield


def in_thread(work: Callable[[], int]) -> Callable[[], int]:
    """Starts `work`; the returned function waits for it and gives its answer or its error."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> int:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the worker does not end"
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    return result


@dataclass(frozen=True)
class Plan:
    """How one worker fares: its threads, and after how many steps each of its lives ends."""

    in_flight: int
    lives: list[int]


def lives(number: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, 120), min_size=number, max_size=number)


plans = st.builds(Plan, st.integers(1, 8), st.integers(0, 4).flatmap(lives))


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    # a failing example may hang: the first one found is shown, its seed says enough
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**32),
    images=st.integers(0, 25),
    order=st.sampled_from(["random", "ends first", "as sent", "last first"]),
    chance=st.sampled_from([0.0, 0.5, 1.0]),
    plans=st.tuples(plans, plans),
)
def test_the_pair_ends_with_every_image_once(
    seed: int, images: int, order: str, chance: float, plans: tuple[Plan, Plan]
) -> None:
    with tempfile.TemporaryDirectory() as folder, quick():
        queue = UnrulyQueue(random.Random(seed), order, chance)
        world = World(seed, images, queue, Path(folder))
        a, b = (settings_of(Path(folder), plan.in_flight) for plan in plans)
        crowd(world)
        a_ends = in_thread(lambda: world.live_until_done(LabelWorker, a, plans[0].lives))
        b_ends = in_thread(lambda: world.live_until_done(TextWorker, b, plans[1].lives))
        killed_a, killed_b = a_ends(), b_ends()
        event(f"A killed {killed_a} times")
        event(f"B killed {killed_b} times")
        judge_results(world, b)
        judge_queue(world)
        judge_costs(world.looks, killed_a * a.in_flight)
        judge_costs(world.reads, killed_b * b.in_flight)


def settings_of(folder: Path, in_flight: int) -> Settings:
    return Settings(
        bucket="photos",
        prefix="in/",
        queue_url="http://queue.test/1/index",
        run=RUN,
        state_dir=folder / "state",
        poll_seconds=0,
        visibility_timeout=3,
        linger_seconds=0.002,
        in_flight=in_flight,
        quota=1e6,
        foreign_end_seconds=600,
        label_sender=BELIEVED,
    )


def crowd(world: World) -> None:
    """What else is on the queue: another run, strangers, a bare end mark, and what is forged."""
    for key in sorted(world.others):
        world.queue.add(image_entry(Decision(OTHER_RUN, 0, key, NO_PICTURE, (Label("Car", 95.0),))))
    if world.others:
        world.queue.add(end_entry(RunEnd(OTHER_RUN, len(world.others))))
    for entry in (*MALFORMED, written_by_hand("-1")):
        if world.random.random() < 0.5:
            world.queue.add(entry)
            world.strange += [entry["MessageBody"]] if entry in MALFORMED else []
    for entry in FORGED:
        if world.random.random() < 0.5:
            world.queue.add(entry, SOMEBODY_ELSE)
            world.strange.append(entry["MessageBody"])


def judge_results(world: World, settings: Settings) -> None:
    """Every image of the run is in the files, once, in order, with its text; nothing else is."""
    cars = sorted(world.cars, key=natural_key)
    rows = [json.loads(line) for line in (settings.run_dir / "results.jsonl").open()]
    assert [row["index"] for row in rows] == cars
    assert all(row["failure"] is None for row in rows)
    texts = [[line["text"] for line in row["lines"]] for row in rows]
    assert texts == [world.text_of(key) for key in cars]
    assert (settings.run_dir / "output.txt").read_text() == "".join(
        f"{key}: text of {key}\n" for key in cars if key in world.with_text
    )


def judge_queue(world: World) -> None:
    """No message went before what it says was kept; nothing strange was thrown away."""
    left = world.queue.messages
    with closing(SqliteLedger(world.folder / "TextWorker.sqlite3")) as ledger:
        not_done = ledger.not_done(OTHER_RUN, sorted(world.others))
    assert not_done <= {message.body for message in left}
    strange = [m.body for m in left if m.attributes in ODD or m.sender == SOMEBODY_ELSE]
    assert Counter(strange) == Counter(world.strange)


def judge_costs(paid: Counter[str], in_flight_at_kills: int) -> None:
    assert paid.total() - len(paid) <= in_flight_at_kills
