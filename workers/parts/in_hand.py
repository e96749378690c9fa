"""What is left of the parts that a label worker has in hand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from workers.model import Decision


class InHand:
    """Counts, part by part, the images that are not decided or whose index SQS does not have.

    `done` hears of each part of which none is left, in whatever thread that turns out.
    """

    def __init__(self, done: Callable[[int], object]) -> None:
        self._done = done
        self._left: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, part: int, images: int) -> None:
        """Takes a part with so many images to be decided or sent."""
        with self._lock:
            self._left[part] = images
        self._through(part, 0)

    def decided(self, decisions: Iterable[Decision]) -> None:
        """Of these, one with a label has yet to be sent."""
        for part, images in Counter(d.part for d in decisions if not d.labels).items():
            self._through(part, images)

    def sent(self, decisions: Iterable[Decision]) -> None:
        """SQS has these."""
        for part, images in Counter(d.part for d in decisions).items():
            self._through(part, images)

    def _through(self, part: int, images: int) -> None:
        with self._lock:
            if part not in self._left:
                return
            self._left[part] -= images
            if self._left[part] > 0:
                return
            del self._left[part]
        self._done(part)
