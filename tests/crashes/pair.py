"""A run of the pair, from whatever a crash has left."""

from __future__ import annotations

import copy
import random
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock, patch

from tenacity import wait_none

from tests.crashes.disk import FOLDER, KEPT, Disk, Files, Loss
from tests.crashes.record import Event, Record
from tests.crashes.table import Table
from tests.unit.fakes import client_error, png
from tests.unit.scene import Scene
from tests.unit.unruly_queue import Message, UnrulyQueue
from workers.aws.calls import Calls
from workers.label_worker import LabelWorker
from workers.ledger.dynamodb import table
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.ledger.sqlite_file import SqliteFile
from workers.settings import Settings
from workers.text_worker import TextWorker
from workers.threads.stop import Stop

PAIR = {"label": LabelWorker, "text": TextWorker}
FLEET = {**PAIR, "label-2": LabelWorker, "text-2": TextWorker}
OUTPUT = {LabelWorker: ("failed.jsonl", "near.jsonl"), TextWorker: ("output.txt", "results.jsonl")}
INDEX_QUEUE, PARTS_QUEUE = "http://queue.test/1/index", "http://queue.test/1/parts"
# a page of the listing, and so a part of it
PAGE = 8
# a worker that takes so long hangs
PATIENCE_SECONDS = 20.0
# so many looks at a queue without any message: nothing will come any more
LOOKS = 800
# no time passes in a run: what it writes is the same, byte by byte
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MEMORY = Path("/dev/shm")  # noqa: S108 - what a run writes is told, and need not last


class Seen(NamedTuple):
    """What Rekognition says of a picture: how sure a car is, and the text; None: it is no image."""

    car: float | None
    text: str | None


@dataclass(frozen=True)
class Plan:
    """What is in the bucket, and how the pair works on it."""

    name: str
    images: Mapping[str, str]
    """The picture under each key; one without a name has no bytes."""
    pictures: Mapping[str, Seen]
    in_flight: int = 1
    is_known: bool = False
    """An earlier run has asked about all of it."""
    at_once: bool = False
    """Both work at the same time; else the text worker begins when the label worker has ended."""
    small_wal: bool = False
    """SQLite takes the WAL into the file with each commit, not first at the end."""
    is_fleet: bool = False
    """Two of each, at once, and a table."""

    @property
    def workers(self) -> Mapping[str, type[LabelWorker | TextWorker]]:
        """By name, which is that of its disk, too."""
        return FLEET if self.is_fleet else PAIR

    @property
    def due(self) -> dict[type, int]:
        """How many calls a run without a crash pays for, by kind of worker."""
        if self.is_known:
            return {LabelWorker: 0, TextWorker: 0}
        seen = [self.pictures[name] for name in {*self.images.values()} - {""}]
        with_car = [each for each in seen if each.car is not None and each.car > 90]
        return {
            LabelWorker: sum(each.car is not None for each in seen),
            TextWorker: sum(each.text is not None for each in with_car),
        }


class Messages(list[Message]):
    """What is on a queue; tells what is sent and what is deleted."""

    def __init__(self, record: Record, url: str, messages: list[Message]) -> None:
        super().__init__(messages)
        self._record = record
        self._url = url

    def append(self, message: Message) -> None:
        super().append(message)
        self._record.note("send", self._url, message)

    def remove(self, message: Message) -> None:
        super().remove(message)
        self._record.note("delete", self._url, message)


class Queue(UnrulyQueue):
    """One that behaves, and lets no worker wait for what never comes."""

    all_is_sent = False
    looks = 0

    def receive_message(self, **request: Any) -> Any:
        waits = self.all_is_sent and not self.messages
        self.looks = self.looks + 1 if waits else 0
        assert self.looks < LOOKS, "the text worker waits for what never comes"
        return super().receive_message(**request)


class Queues:
    """SQS's client, for both queues."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self._queues = queues

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: getattr(self._queues[request["QueueUrl"]], operation)(**request)


@dataclass
class World:
    """All that a run has to go by, and what was paid for in it."""

    disk: Disk
    files: Files
    """What a worker finds on the disk."""
    messages: dict[str, list[Message]] = field(
        default_factory=lambda: {INDEX_QUEUE: [], PARTS_QUEUE: []}
    )
    table: list[tuple[str, str]] = field(default_factory=list)
    paid: Counter[type] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    """How often each index was."""
    ended: set[str] = field(default_factory=set)

    @classmethod
    def on(cls, files: Files) -> World:
        """One in which nothing was done yet, on these disks."""
        return cls(Disk(files), files)

    def happens(self, event: Event) -> None:
        """Takes in something that has happened."""
        match event.what, event.of:
            case "send", (url, message):
                self.messages[url].append(message)
                self.sent[message.body] += url == INDEX_QUEUE
            case "delete", (url, message):
                self.messages[url].remove(message)
            case "keep", (operation, asked):
                self.table.append((operation, asked))
            case "pay", (kind,):
                self.paid[kind] += 1
            case "end", (worker,):
                self.ended.add(worker)
            case operation, of:
                getattr(self.disk, operation)(*of)

    def crashed(self, loss: Loss) -> World:
        """The world in which workers start again, on what the crash has left."""
        files = self.disk.after_crash(loss)
        # a kill leaves the power on: what was not synced then is not synced now
        disk = copy.deepcopy(self.disk) if loss is KEPT else Disk(files)
        messages = {url: [*there] for url, there in self.messages.items()}
        paid, sent = self.paid.copy(), self.sent.copy()
        return World(disk, files, messages, [*self.table], paid, sent, {*self.ended})


class Run(NamedTuple):
    """What a run has done, and what lies there at its end."""

    events: list[Event]
    files: Files


def run(
    plan: Plan, world: World, name: str, *, at_once: bool = False, order: int | None = None
) -> Run:
    """The way to the end, of all workers; raises what one of them raises.

    Messages come in the order that they were sent in, or in one of any `order`.
    """
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, _hastened(plan):
        site = Site(plan, world, Path(folder), name, order)
        with site.record.recording():
            if at_once or plan.is_fleet:
                with ThreadPoolExecutor() as all_of_them:
                    [*all_of_them.map(site.work, plan.workers)]
            else:
                [*map(site.work, plan.workers)]
        return Run(site.record.events, site.files())


def output_of(files: Files, worker: str, kind: type, name: str) -> dict[str, bytes | None]:
    """What people came for, of what lies on a disk; whether it was known is no part of it."""
    found = {file: files.get(f"{worker}/{name}/{file}") for file in OUTPUT[kind]}
    return {
        file: content and content.replace(b'"known": true', b'"known": false')
        for file, content in found.items()
    }


class Site:
    """What the workers of a run work on, in a folder."""

    def __init__(self, plan: Plan, world: World, root: Path, name: str, order: int | None) -> None:
        self._plan = plan
        self._name = name
        self._root = root
        for path, content in sorted(world.files.items()):
            if content is None:
                (root / path).mkdir()
            else:
                (root / path).write_bytes(content)
        self.record = Record(root)
        self._table = Table(self.record, world.table) if plan.is_fleet else None
        how = "as sent" if order is None else "random"
        self._queues: dict[str, Queue] = {}
        for url, messages in world.messages.items():
            # whoever had received one is gone; that it comes once more is known of it
            messages[:] = [Message(each.body, each.attributes, receives=1) for each in messages]
            self._queues[url] = queue = Queue(random.Random(order), how, chance=0, second=10)
            queue.messages = Messages(self.record, url, messages)
        self._labelling = sum(kind is LabelWorker for kind in plan.workers.values())

    def files(self) -> Files:
        """What lies there; raises where a ledger is broken."""
        for ledger in self._root.glob("*/ledger.sqlite3"):
            with closing(sqlite3.connect(ledger)) as connection:
                ((found,),) = connection.execute("PRAGMA integrity_check")
            assert found == "ok", f"{ledger.parent.name}: {found}"
        return {
            str(path.relative_to(self._root)): FOLDER if path.is_dir() else path.read_bytes()
            for path in sorted(self._root.rglob("*"))
        }

    def work(self, worker: str) -> None:
        """A worker from its start to its exit."""
        kind = self._plan.workers[worker]
        try:
            self._work(worker, kind)
        finally:
            self._labelling -= kind is LabelWorker
            self._queues[INDEX_QUEUE].all_is_sent = not self._labelling
        self.record.note("end", worker)

    def _work(self, worker: str, kind: type[LabelWorker | TextWorker]) -> None:
        plan, is_fleet = self._plan, self._plan.is_fleet
        settings = Settings(
            _env_file=None,
            bucket="photos",
            queue_url=INDEX_QUEUE,
            parts_queue_url=PARTS_QUEUE if is_fleet else None,
            ledger="dynamodb://table" if is_fleet else None,
            state_dir=self._root / worker,
            run=self._name,
            worker=worker,
            quota=1e6,
            poll_seconds=0,
            linger_seconds=0,
            retry_seconds=0.05,
            in_flight=plan.in_flight,
        )
        scene = Scene(settings, self._ledger(settings))
        scene.queue = Queues(self._queues)
        scene.label = lambda key: self._seen(kind, plan.pictures[plan.images[key]].car)
        scene.text = lambda picture: self._seen(kind, plan.pictures[picture].text)
        scene.s3.page_size = PAGE
        scene.s3.objects = {
            key: png(tail=picture.encode()) if picture else b""
            for key, picture in plan.images.items()
        }
        hung = AssertionError(f"the worker {worker!r} hangs")
        with closing(scene.ledger), _after(PATIENCE_SECONDS, lambda: scene.stop.fail(hung)):
            scene.start(kind)

    def _ledger(self, settings: Settings) -> DynamoDbLedger | None:
        if not self._table:
            return None
        calls = Calls(settings, Stop(), drain=True, backoff=wait_none())
        return DynamoDbLedger(table.Table("table", self._table, calls))

    def _seen(self, kind: type, what: Any) -> Any:
        if what is None:
            raise client_error("InvalidImageFormatException", 400, "no image")
        self.record.note("pay", kind)
        return what


@contextmanager
def _after(seconds: float, do: Any) -> Iterator[None]:
    timer = threading.Timer(seconds, do)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _hastened(plan: Plan) -> Iterator[None]:
    """Nothing is waited for that only makes calls fewer; files are written at every chance."""
    connect = SqliteFile._connect

    def with_small_wal(file: SqliteFile) -> sqlite3.Connection:
        connection = connect(file)
        connection.execute("PRAGMA wal_autocheckpoint = 1")
        return connection

    with ExitStack() as patches:
        for what, value in {
            "workers.reader.DELETE_LINGER_SECONDS": 0.001,
            "workers.ledger.sqlite_file.GATHER_SECONDS": 0.0005,
            "workers.ledger.sqlite.SqliteLedger.refresh_seconds": 0.02,
            "workers.output.files.REWRITE_SECONDS": 0.02,
            "workers.output.files.REWRITE_SHARE": 1.0,
            "workers.reader.datetime": Mock(now=lambda _: NOW),
            "workers.ledger.dynamodb.ledger.LINGER_SECONDS": 0.002,
            "workers.ledger.dynamodb.ledger.LABELLED_LINGER_SECONDS": 0.001,
            "workers.ledger.dynamodb.ledger.DynamoDbLedger.refresh_seconds": 0.02,
            "workers.ledger.dynamodb.ledger.DynamoDbLedger.refresh_growth": 0.0,
            "workers.ledger.dynamodb.writer.TELL_SECONDS": 0.02,
            "workers.ledger.dynamodb.writer.IDLE_SECONDS": 0.005,
            "workers.ledger.dynamodb.progress.FRESH_SECONDS": 0.01,
            "workers.ledger.dynamodb.progress.STILL_SECONDS": 0.05,
            "workers.parts.lister.LEAST_IMAGES": 5,
            "workers.parts.lister.MOST_IMAGES": 5,
            "workers.parts.lister.LOST_SECONDS": 0.5,
            "workers.parts.shared.LISTER_SECONDS": 0.02,
            "workers.parts.shared.DELETE_LINGER_SECONDS": 0.001,
            "workers.alive.LOOK_SECONDS": 0.05,
            "workers.alive.LAPSED_SECONDS": 0.6,
            "workers.alive.DEAD_SECONDS": 1.0,
            "workers.aws.quota.NO_SHARE_SECONDS": 0.01,
        }.items():
            patches.enter_context(patch(what, value))
        if plan.small_wal:
            patches.enter_context(patch.object(SqliteFile, "_connect", with_small_wal))
        yield
