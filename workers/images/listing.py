"""The way through a bucket's keys: one page after the other, or many of them at a time.

S3 gives the page behind a key, and says neither how many keys there are nor how they are named. So
who needs no order lists stretches of keys side by side: one that turns out to be long is divided,
where a few keys that are asked for show that its names go on. However well that is guessed, each
key is in exactly one stretch: two of them meet at a border, whatever lies there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from workers.aws.answers import ListedObject, Listing
from workers.index_queue.messages import MOST_INDEX_BYTES
from workers.model import Image

# calls under way: the SDK keeps 16 connections beside those of the images, and A needs one more
WIDTH = 15
# pages that a stretch has before it is divided: a small bucket costs no call more
LONG = 4
SURROGATES = range(0xD800, 0xE000)

Ask = Callable[..., Listing]
"""Asks S3 for a page: with `StartAfter` or `ContinuationToken`, and `MaxKeys`, or nothing."""


def in_order(ask: Ask, after: str = "", upto: str | None = None) -> Iterator[list[ListedObject]]:
    """The pages of the listing by key, of what is behind a key and up to another one."""
    stretch = _Stretch(after, upto)
    while not stretch.is_done:
        yield stretch.take(ask(**stretch.next_page))


def images_of(objects: list[ListedObject], part: int = 0) -> list[Image]:
    """What is listed, as images of a part; a folder of the console's is none."""
    return [
        Image(each["Key"], each["Size"], each["ETag"], None, part)
        for each in objects
        if not each["Key"].endswith("/")
    ]


def side_by_side(ask: Ask) -> Iterator[list[ListedObject]]:
    """The pages of the listing in any order; those under way are all that is in memory.

    Raises what `ask` raises, as soon as the other calls under way have ended.
    """
    with ThreadPoolExecutor(WIDTH, thread_name_prefix="listing") as pool:
        yield from _SideBySide(ask, pool).pages()


@dataclass(eq=False)
class _Stretch:
    """The keys behind `reached`, up to the key `upto`, or to the last one."""

    reached: str = ""
    upto: str | None = None
    token: str | None = None
    pages: int = 0
    is_done: bool = False

    @property
    def next_page(self) -> dict[str, str]:
        """What S3 is asked for it."""
        if self.token:
            return {"ContinuationToken": self.token}
        return {"StartAfter": self.reached} if self.reached else {}

    def take(self, page: Listing) -> list[ListedObject]:
        """What of it is on the page."""
        entries = page.get("Contents", [])
        self.token = page.get("NextContinuationToken")
        self.pages += 1
        self.is_done = not page["IsTruncated"]
        if entries:
            self.reached = entries[-1]["Key"]
        if self.upto is not None and self.reached >= self.upto:
            self.is_done = True
            entries = [entry for entry in entries if entry["Key"] <= self.upto]
        return entries

    def divide(self, border: str) -> _Stretch | None:
        """Gives away what is behind the border; None when it has come there already."""
        if self.reached > border:
            return None
        rest = _Stretch(border, self.upto)
        self.upto = border
        return rest


class _SideBySide:
    """What is under way; all is decided in the thread that takes the pages."""

    def __init__(self, ask: Ask, pool: Executor) -> None:
        self._ask = ask
        self._pool = pool
        self._waiting = [_Stretch()]
        self._listing: dict[Future[Listing], _Stretch] = {}
        self._searching: dict[Future[list[str]], _Stretch] = {}

    def pages(self) -> Iterator[list[ListedObject]]:
        while self._waiting or self._listing:
            self._fill()
            under_way: set[Future[Any]] = {*self._listing, *self._searching}
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for search in done & self._searching.keys():
                self._divide(self._searching.pop(search), search.result())
            for answer in done & self._listing.keys():
                stretch = self._listing.pop(answer)
                objects = stretch.take(answer.result())
                if not stretch.is_done:
                    # the next page is on its way while this one is looked at
                    self._go_on(stretch)
                yield objects

    @property
    def _free(self) -> int:
        return WIDTH - len(self._listing) - len(self._searching)

    def _fill(self) -> None:
        """Gives each free thread a stretch, or has it find out where a long one can be divided."""
        while self._waiting and self._free:
            self._go_on(self._waiting.pop())
        long = {each for each in self._listing.values() if each.pages >= LONG}
        long.difference_update(self._searching.values())
        for stretch in sorted(long, key=lambda each: each.pages, reverse=True)[: self._free]:
            stretch.pages = 0
            search = self._pool.submit(_borders, self._ask, stretch, stretch.reached, stretch.upto)
            self._searching[search] = stretch

    def _go_on(self, stretch: _Stretch) -> None:
        self._listing[self._pool.submit(self._ask, **stretch.next_page)] = stretch

    def _divide(self, stretch: _Stretch, borders: list[str]) -> None:
        for border in reversed(borders):
            if rest := stretch.divide(border):
                self._waiting.append(rest)


def _borders(ask: Ask, stretch: _Stretch, key: str, upto: str | None) -> list[str]:
    """Where a stretch that has come to a key can be divided: behind each border there are keys.

    Its names branch at the first place where later ones differ from this key. That is sought by
    halves; then, by doubling, how far the character there goes up.
    """

    def goes_on_behind(border: str) -> bool:
        # once the stretch is done nobody waits for its borders
        if not border or stretch.is_done:
            return False
        found = ask(StartAfter=border, MaxKeys=1).get("Contents", [])
        return any(upto is None or entry["Key"] <= upto for entry in found)

    branch = None
    least, most = 0, len(key) - 1
    while least <= most:
        place = (least + most) // 2
        if goes_on_behind(_raised(key, place, 1)):
            branch, most = place, place - 1
        else:
            least = place + 1
    if branch is None:
        return []
    raised = (_raised(key, branch, 2**doublings) for doublings in count())
    return [*takewhile(goes_on_behind, raised)]


def _raised(key: str, place: int, step: int) -> str:
    """The key up to a place, whose character is so many further; empty where S3 has no such key."""
    code = ord(key[place]) + step
    if code in SURROGATES:
        code = SURROGATES.stop
    if code > sys.maxunicode:
        return ""
    raised = key[:place] + chr(code)
    return raised if len(raised.encode()) <= MOST_INDEX_BYTES else ""
