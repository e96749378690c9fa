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
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import Mock, patch

from tests.crashes.disk import FOLDER, KEPT, Disk, Files, Loss
from tests.crashes.record import Event, Record
from tests.unit.fakes import client_error, png
from tests.unit.scene import Scene
from tests.unit.unruly_queue import Message, UnrulyQueue
from workers.label_worker import LabelWorker
from workers.ledger.sqlite_file import SqliteFile
from workers.settings import Settings
from workers.text_worker import TextWorker

KINDS = MappingProxyType({"label": LabelWorker, "text": TextWorker})
OUTPUT = MappingProxyType(
    {"label": ("failed.jsonl", "near.jsonl"), "text": ("output.txt", "results.jsonl")}
)
# a page of the listing, and so a part of it
PAGE = 8
# a worker that takes so long hangs
PATIENCE_SECONDS = 20.0
# so many looks at a queue without any message: nothing will come any more
LOOKS = 100
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


class Messages(list[Message]):
    """What is on the queue; tells what is sent and what is deleted."""

    def __init__(self, record: Record, messages: list[Message]) -> None:
        super().__init__(messages)
        self._record = record

    def append(self, message: Message) -> None:
        super().append(message)
        self._record.note("send", message)

    def remove(self, message: Message) -> None:
        super().remove(message)
        self._record.note("delete", message)


class Queue(UnrulyQueue):
    """One that behaves, and lets no worker wait for what never comes."""

    all_is_sent = False
    looks = 0

    def receive_message(self, **request: Any) -> Any:
        waits = self.all_is_sent and not self.messages
        self.looks = self.looks + 1 if waits else 0
        assert self.looks < LOOKS, "the text worker waits for what never comes"
        return super().receive_message(**request)


@dataclass
class World:
    """All that a run has to go by, and what was paid for in it."""

    disk: Disk = field(default_factory=lambda: Disk(dict.fromkeys(KINDS, FOLDER)))
    messages: list[Message] = field(default_factory=list)
    paid: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)
    files: Files = field(default_factory=lambda: dict.fromkeys(KINDS, FOLDER))
    """What a worker finds on the disk."""

    @classmethod
    def on(cls, files: Files) -> World:
        """One in which nothing was done yet, on these disks."""
        return cls(Disk(files), files=files)

    def happens(self, event: Event) -> None:
        """Takes in something that has happened."""
        match event.what:
            case "send":
                self.messages.append(*event.of)
            case "delete":
                self.messages.remove(*event.of)
            case "pay":
                self.paid.update(event.of)
            case "end":
                self.ended.update(event.of)
            case operation:
                getattr(self.disk, operation)(*event.of)

    def crashed(self, loss: Loss) -> World:
        """The world in which workers start again, on what the crash has left."""
        files = self.disk.after_crash(loss)
        # a kill leaves the power on: what was not synced then is not synced now
        disk = copy.deepcopy(self.disk) if loss is KEPT else Disk(files)
        return World(disk, [*self.messages], self.paid.copy(), {*self.ended}, files)


class Run(NamedTuple):
    """What a run has done, and what lies there at its end."""

    events: list[Event]
    files: Files


def run(
    plan: Plan, world: World, name: str, *, at_once: bool = False, order: int | None = None
) -> Run:
    """The pair's way to its end; raises what a worker raises.

    Messages come in the order that they were sent in, or in one of any `order`.
    """
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, _hastened(plan):
        root = Path(folder)
        _lay(world.files, root)
        record = Record(root)
        how = "as sent" if order is None else "random"
        queue = Queue(random.Random(order), how, chance=0, second=10)
        # whoever had received one is gone
        world.messages = [Message(each.body, each.attributes) for each in world.messages]
        queue.messages = Messages(record, world.messages)

        def work(kind: str) -> None:
            try:
                _work(plan, kind, name, root, queue, record)
            finally:
                queue.all_is_sent = True
            record.note("end", kind)

        with record.recording():
            if at_once:
                with ThreadPoolExecutor() as both:
                    [*both.map(work, KINDS)]
            else:
                [*map(work, KINDS)]
        for kind in KINDS:
            _check(root / kind / "ledger.sqlite3")
        return Run(record.events, _lie(root))


def output_of(files: Files, name: str) -> dict[str, bytes]:
    """What people came for, of what lies on the disks; whether it was known is no part of it."""
    paths = [f"{kind}/{name}/{file}" for kind, names in OUTPUT.items() for file in names]
    return {
        path: content.replace(b'"known": true', b'"known": false')
        for path in paths
        if (content := files.get(path)) is not None
    }


def _work(
    plan: Plan, kind: str, name: str, root: Path, queue: Queue, record: Record
) -> None:
    """A worker from its start to its exit."""

    def label(key: str) -> float:
        picture = plan.images[key]
        return seen(picture, plan.pictures[picture].car)

    def text(picture: str) -> str:
        return seen(picture, plan.pictures[picture].text)

    def seen(picture: str, what: Any) -> Any:
        if what is None:
            raise client_error("InvalidImageFormatException", 400, f"no image: {picture}")
        record.note("pay", kind)
        return what

    settings = Settings(
        _env_file=None,
        bucket="photos",
        queue_url="http://queue.test/1/index",
        state_dir=root / kind,
        run=name,
        worker="here",
        quota=1e6,
        poll_seconds=0,
        linger_seconds=0,
        retry_seconds=0.05,
        in_flight=plan.in_flight,
    )
    scene = Scene(settings)
    scene.queue, scene.label, scene.text = queue, label, text
    scene.s3.page_size = PAGE
    scene.s3.objects = {
        key: png(tail=picture.encode()) if picture else b"" for key, picture in plan.images.items()
    }
    hung = AssertionError(f"the {kind} worker hangs")
    with closing(scene.ledger), _after(PATIENCE_SECONDS, lambda: scene.stop.fail(hung)):
        scene.start(KINDS[kind])


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
        }.items():
            patches.enter_context(patch(what, value))
        if plan.small_wal:
            patches.enter_context(patch.object(SqliteFile, "_connect", with_small_wal))
        yield


def _lay(files: Files, root: Path) -> None:
    for name, content in sorted(files.items()):
        if content is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(content)


def _lie(root: Path) -> Files:
    return {
        str(path.relative_to(root)): FOLDER if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def _check(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        ((found,),) = connection.execute("PRAGMA integrity_check")
    assert found == "ok", f"{ledger.parent.name}: {found}"
