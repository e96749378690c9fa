"""Stretches of keys that are listed side by side: every key comes once, however they are named."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fakes import FakeS3
from workers.aws.answers import Listing
from workers.errors import RunError
from workers.images import listing
from workers.images.listing import LONG, WIDTH, in_order, side_by_side

# nothing that S3 takes for a key: half a surrogate pair
CHARACTERS = st.characters(codec="utf-8")
ENDS = "\ud7ff\ue000\uffff\U0010fffe\U0010ffff"


class InTurns:
    """Threads whose work is done one piece after the other, in an order that is drawn."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._work: dict[Future[Any], Callable[[], Any]] = {}
        self.most = 0

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._work[future] = partial(function, *args, **kwargs)
        self.most = max(self.most, len(self._work))
        return future

    def wait(self, futures: Set[Future[Any]], **_: Any) -> tuple[set[Future[Any]], None]:
        some = [future for future in self._work if future in futures]
        chosen = self._random.choice(some)
        chosen.set_result(self._work.pop(chosen)())
        return {chosen}, None

    @contextmanager
    def __call__(self, *_: Any, **__: Any) -> Iterator[InTurns]:
        yield self


def asking(s3: FakeS3) -> Callable[..., Listing]:
    def ask(**place: Any) -> Any:
        return s3.list_objects_v2(Prefix="", **place)

    return ask


def listed(s3: FakeS3, seed: int = 0) -> tuple[list[list[str]], InTurns]:
    """The keys of each page, and the threads that have asked for them."""
    threads = InTurns(seed)
    with patch.multiple(listing, ThreadPoolExecutor=threads, wait=threads.wait):
        pages = [[each["Key"] for each in page] for page in side_by_side(asking(s3))]
    return pages, threads


def keys_named(name: Callable[[int], str]) -> st.SearchStrategy[set[str]]:
    numbers = st.sets(st.integers(0, 2**20), max_size=300)
    # hypothesis likes small sets, which nobody divides
    more = st.integers(0, 2**20).map(lambda first: range(first, first + 100))
    return st.one_of(numbers, more).map(lambda some: {*map(name, some)})


NAMINGS: dict[str, Callable[[int], str]] = {
    "numbered": lambda n: f"{n:07d}.jpg",
    "not padded": lambda n: f"{n}.jpg",
    "uuids": lambda n: str(UUID(int=random.Random(n).getrandbits(128))),
    "dates": lambda n: f"2024/{n % 12 + 1:02d}/{n % 28 + 1:02d}/IMG_{n:05d}.JPG",
    "all below one folder": lambda n: "a folder/with/a long name/ü/" * 2 + f"{n:08x}",
    "one folder has nearly all": lambda n: f"{'2024' if n % 50 else n % 1000}/{n}",
    "of no alphabet": lambda n: chr(0x4E00 + n % 20_000) + ENDS[n % len(ENDS)] * (n % 3),
}
FEW: dict[str, Callable[[int], str]] = {
    "each goes on where another ends": lambda n: "a" * (n % 300),
    "each is where others branch": lambda n: f"{n:b}"[-(n % 7) :],
    "as long as they may be": lambda n: "x" * 1023 + chr(0x21 + n % 94),
}


@settings(deadline=None)
@given(
    keys=st.one_of(
        *map(keys_named, [*NAMINGS.values(), *FEW.values()]),
        st.sets(st.text(CHARACTERS, max_size=6), max_size=200),
        st.sets(st.text(st.sampled_from("ab\x01" + ENDS), max_size=5), max_size=200),
    ),
    page_size=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_key_comes_exactly_once(keys: set[str], page_size: int, seed: int) -> None:
    keys.discard("")
    pages, _ = listed(FakeS3(dict.fromkeys(keys, b"x"), page_size), seed)
    assert sorted(key for page in pages for key in page) == sorted(keys)
    assert all(page == sorted(page) for page in pages)


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_large_bucket_keeps_every_thread_at_work(naming: str) -> None:
    numbers = random.Random(0).sample(range(2**20), 1200)
    s3 = FakeS3({NAMINGS[naming](number): b"x" for number in numbers}, page_size=4)
    _, threads = listed(s3)
    assert threads.most == WIDTH, "and no more pages are in memory"
    probes = [request for request in s3.listings if "MaxKeys" in request]
    assert len(probes) < len(s3.listings) / 2


@pytest.mark.parametrize("pages", [0, 1, LONG])
def test_a_small_bucket_costs_no_call_more(pages: int) -> None:
    objects = {f"{number:03d}.jpg": b"x" for number in range(pages * 10)}
    aside, ordered = FakeS3(objects, page_size=10), FakeS3(objects, page_size=10)
    found, _ = listed(aside)
    assert found == [[each["Key"] for each in page] for page in in_order(asking(ordered))]
    assert aside.listings == ordered.listings
    assert len(aside.listings) == max(1, pages)


def test_a_page_without_keys_is_not_the_end() -> None:
    """As S3 may answer where very much was deleted."""
    s3 = FakeS3({"1.jpg": b"x", "2.jpg": b"x"}, page_size=1)

    def ask(**place: Any) -> Any:
        if "ContinuationToken" not in place:
            return {"IsTruncated": True, "NextContinuationToken": "0"}
        return s3.list_objects_v2(Prefix="", **place)

    pages = [[each["Key"] for each in page] for page in side_by_side(ask)]
    assert pages == [[], ["1.jpg"], ["2.jpg"]]


MANY = {f"{number:04d}.jpg": b"x" for number in range(1000)}


@pytest.mark.parametrize("where", ["StartAfter", "MaxKeys"])
def test_what_one_thread_raises_is_raised(where: str) -> None:
    """Of one that lists a stretch of its own, or looks for a border."""
    s3 = FakeS3(MANY, page_size=2)

    def ask(**place: Any) -> Any:
        if where in place and ("MaxKeys" in place) == (where == "MaxKeys"):
            raise RunError("no more")
        return s3.list_objects_v2(Prefix="", **place)

    with pytest.raises(RunError, match="no more"):
        list(side_by_side(ask))
    assert not listing_threads()


def test_who_has_seen_enough_leaves_no_thread_behind() -> None:
    with closing(side_by_side(asking(FakeS3(MANY, page_size=2)))) as pages:
        for _ in range(50):
            next(pages)
    assert not listing_threads()


def listing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("listing")]
