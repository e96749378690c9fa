"""The looking behind the sandbox's Rekognition: which things an image shows and what it says.

Every answer is remembered by what an image shows, so the same one is looked at once, however often
and from however many threads somebody asks; and at most one look a core is taken at a time.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from PIL import Image

from sandbox.aws.rekognition.eyes import detector, reader

T = TypeVar("T")

REMEMBERED = 512
# the last bytes of a JPEG, and of a PNG
ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")
AT_ONCE = min(4, os.cpu_count() or 1)


class Memory(Generic[T]):
    """Remembers what `look` said about the latest images; who asks meanwhile waits for it."""

    def __init__(self, look: Callable[[bytes], T]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, Future[T]] = OrderedDict()

    def __call__(self, image: bytes) -> T:
        key = hashlib.sha256(_shown(image)).digest()
        with self._lock:
            answer = self._seen.get(key)
            if first := answer is None:
                answer = self._seen[key] = Future()
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
            self._seen.move_to_end(key)
        if first:
            self._settle(key, image, answer)
        return answer.result()

    def _settle(self, key: bytes, image: bytes, answer: Future[T]) -> None:
        try:
            answer.set_result(self._look(image))
        except BaseException as error:
            with self._lock:
                self._seen.pop(key, None)
            answer.set_exception(error)


def _shown(image: bytes) -> bytes:
    """The image without what may be appended to it, which changes its ETag and nothing else."""
    ends = (image.rfind(end) + len(end) for end in ENDS if end in image)
    return image[: max(ends, default=len(image))]


class Pool(Generic[T]):
    """Lends something that one thread at a time may use, and makes no more than the cores use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: queue.LifoQueue[T | None] = queue.LifoQueue()
        for _ in range(AT_ONCE):
            self._idle.put(None)
        atexit.register(self._close)

    @contextmanager
    def one(self) -> Iterator[T]:
        lent = self._idle.get()
        try:
            lent = lent or self._make()
            yield lent
        finally:
            self._idle.put(lent)

    def _close(self) -> None:
        # a thread that the interpreter's end meets within C++ would abort the process
        for _ in range(AT_ONCE):
            self._idle.get()


networks = Pool(detector.load)
readers = Pool(reader.load)


def _see(image: bytes) -> tuple[detector.Sighting, ...]:
    with networks.one() as network:
        return detector.see(network, image)


def _read(image: bytes) -> tuple[reader.Line, ...]:
    with readers.one() as one:
        return reader.read(one, image)


labels = Memory(_see)
"""What an image shows, the surest first. Raises UnreadableImageError or SandboxError (no model)."""
text_lines = Memory(_read)
"""What an image says, from top to bottom. Raises UnreadableImageError."""


def warm_up() -> None:
    """Loads (and if need be fetches) the models, so that the first images need not wait for it.

    Every reader reads something, for the first time takes each of them a while.
    """
    with networks.one():
        pass
    pages = [io.BytesIO() for _ in range(AT_ONCE)]
    for number, page in enumerate(pages):
        Image.new("RGB", (160 + number, 120), "white").save(page, "PNG")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda page: text_lines(page.getvalue()), pages))
