"""A run over a list of keys instead of a listing."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.conftest import MakeCalls, MakeSettings
from tests.unit.fakes import FakeS3, Scripted, client, client_error, etag, png
from workers.errors import OutageError, RunError
from workers.images.bucket import Bucket
from workers.images.keys import PAGE, digest, key_pages
from workers.images.limits import unfit
from workers.ledger import SqliteLedger
from workers.model import Image, Listed, Part
from workers.settled import OF_LABELS, settle

MD5 = "0123456789abcdef0123456789abcdef"
DATE = "2026-01-01T00:00:00.000Z"
Written = Callable[[str | bytes], Path]

# without a time: the tests are collected alike by all processes
ZIPPED = gzip.compress(b"1.jpg\n" * 99, mtime=0)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a list of keys."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "keys"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def images_of(path: Path, prefix: str = "") -> list[Image]:
    return [image for _, page in key_pages(path, "photos", prefix) for image in page]


def keys_of(path: Path, prefix: str = "") -> list[str]:
    return [image.index for image in images_of(path, prefix)]


# --- keys alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "b.jpg\na b,ü.jpg\n",
        "b.jpg\na b,ü.jpg",
        "\nb.jpg\n\na b,ü.jpg\n\n",
        "b.jpg\r\na b,ü.jpg\r\n",
        "\ufeffb.jpg\na b,ü.jpg\n",
        gzip.compress("b.jpg\na b,ü.jpg\n".encode(), mtime=0),
        gzip.compress(b"b.jpg\n", mtime=0) + gzip.compress("a b,ü.jpg\n".encode(), mtime=0),
    ],
    ids=["a line each", "no last end", "empty lines", "Windows", "its mark", "gzip", "gzips"],
)
def test_a_key_is_a_line_whatever_is_in_it(text: str | bytes, written: Written) -> None:
    path = written(text)
    assert keys_of(path) == ["b.jpg", "a b,ü.jpg"]
    assert {(image.size, image.etag) for image in images_of(path)} == {(0, "")}


def test_the_prefix_holds_for_a_list_too(written: Written) -> None:
    path = written("a/1.jpg\nb/1.jpg\na/2.jpg\n")
    assert keys_of(path, "a/") == ["a/1.jpg", "a/2.jpg"]
    assert not list(key_pages(path, "photos", "c/"))


def test_pages_are_as_long_as_those_of_a_listing(written: Written) -> None:
    path = written("".join(f"{n}.jpg\n" for n in range(2 * PAGE + 1)))
    assert [(upto, len(page)) for upto, page in key_pages(path, "photos", "")] == [
        (PAGE, PAGE),
        (2 * PAGE, PAGE),
        (2 * PAGE + 1, 1),
    ]


def test_a_long_list_is_not_kept_in_memory(written: Written) -> None:
    path = written(gzip.compress(b"".join(b"album/%d.jpg\n" % n for n in range(100_000))))
    tracemalloc.start()
    try:
        assert sum(len(page) for _, page in key_pages(path, "photos", "")) == 100_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_a_line_that_is_no_key_is_told_before_it_fills_the_memory(written: Written) -> None:
    path = written(gzip.compress(b"b.jpg\n" + b"a" * 20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(RunError, match="over 65,536 bytes in line 2; put each key on a line"):
            keys_of(path)
        digest(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


# --- an inventory ---------------------------------------------------------------------------------


def row(*fields: object) -> str:
    return ",".join(f'"{field}"' for field in fields) + "\n"


ROWS = {
    "all fields": row("photos", "1.jpg", 7, DATE, MD5, "STANDARD", "false", "", "SSE-S3"),
    "the least": row("photos", "1.jpg", 7, MD5),
    "another order": row("photos", "1.jpg", 7, DATE, "STANDARD", MD5, "false"),
    "all versions": row("photos", "1.jpg", "x" * 32, "true", "false", 7, DATE, MD5, "STANDARD")
    + row("photos", "1.jpg", "y" * 32, "false", "false", 8, DATE, MD5, "STANDARD")
    + row("photos", "0.jpg", "z" * 32, "true", "true", "", DATE, "", ""),
}


@pytest.mark.parametrize("text", ROWS.values(), ids=ROWS.keys())
def test_an_inventory_says_what_a_listing_says(text: str, written: Written) -> None:
    assert images_of(written(text)) == [Image("1.jpg", 7, f'"{MD5}"')]


def test_a_key_that_an_inventory_has_twice_is_one_image(written: Written) -> None:
    """That of two days, put together: which of them is right now, the call finds out."""
    days = [row("photos", key, 7, f"{MD5}-{n}") for n in (1, 2) for key in ("b.jpg", "a.jpg")]
    assert images_of(written("".join(days))) == [
        Image(key, 7, f'"{MD5}-1"') for key in ("b.jpg", "a.jpg")
    ]


def test_parts_of_an_inventory_may_be_put_together(written: Written) -> None:
    parts = [row("photos", f"{n}.jpg", 7, DATE, f"{MD5}-{n}") for n in (1, 2)]
    path = written(b"".join(gzip.compress(part.encode()) for part in parts))
    assert [(image.index, image.etag) for image in images_of(path)] == [
        ("1.jpg", f'"{MD5}-1"'),
        ("2.jpg", f'"{MD5}-2"'),
    ]


@pytest.mark.parametrize(
    ("coded", "key"),
    [("a%20b.jpg", "a b.jpg"), ("a+b.jpg", "a b.jpg"), ("a%2Bb.jpg", "a+b.jpg"), ("%C3%BC", "ü")],
)
def test_its_keys_are_decoded(coded: str, key: str, written: Written) -> None:
    assert keys_of(written(row("photos", coded, 7, MD5))) == [key]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (row("pictures", "1.jpg", 7, DATE, MD5), "about the bucket 'pictures', not 'photos'"),
        (row("photos", "1.jpg"), "no size and no ETag"),
        (row("photos", "1.jpg", 7, DATE), "no size and no ETag"),
        (row("photos", "1.jpg", DATE, MD5), "no size and no ETag"),
        (row("photos", "%FF.jpg", 7, MD5), "can't decode"),
        (row("photos", "1.jpg", 2**63, MD5), f"the size {2**63} is no object's"),
        (row("photos", "é" * 513, 7, MD5), "a key of over 1,024 bytes, 'éé"),
        ('"photos","1.jpg\n', "unexpected end"),
        ('"photos"x,"1.jpg"\n', "expected after"),
        ("2.jpg\n", "about the bucket '2.jpg'"),
    ],
)
def test_a_row_that_is_not_understood_is_named(line: str, told: str, written: Written) -> None:
    path = written(row("photos", "0.jpg", 7, MD5) + line)
    with pytest.raises(RunError, match=told) as refused:
        images_of(path)
    assert f"the inventory {path} is not understood in line 2" in str(refused.value)


# --- lists that are none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n\r\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"1.jpg\n\xff\xfe.jpg\n", "is not UTF-8 in line 2"),
        (f"1.jpg\n{'é' * 513}\n", "has a key of over 1,024 bytes, 'éé"),
        (ZIPPED[:-20], "cannot be read"),
        (ZIPPED[:-8] + bytes(8), "cannot be read: CRC check failed"),
        (b"\x1f\x8b no gzip", "cannot be read"),
    ],
)
def test_a_list_that_is_none_is_told_with_its_name(
    text: str | bytes, told: str, written: Written
) -> None:
    path = written(text)
    with pytest.raises(RunError, match=told) as refused:
        images_of(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_list_that_is_not_there_or_can_be_read_once_only_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file or directory; check CARTEXT_KEYS"):
        digest(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(RunError, match="is no file; it is read more than once"):
            digest(path)


# --- the run --------------------------------------------------------------------------------------


def test_a_run_stays_with_its_keys_wherever_they_lie(
    make_settings: MakeSettings, written: Written, tmp_path: Path
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(gzip.compress(b"1.jpg\n", mtime=0))
    settle(ledger, make_settings(keys=written("1.jpg\n")), OF_LABELS)
    settle(ledger, make_settings(keys=elsewhere), OF_LABELS)
    for keys in (written("1.jpg\n2.jpg\n"), None):
        with pytest.raises(RunError, match=r"begun with CARTEXT_KEYS=sha256:"):
            settle(ledger, make_settings(keys=keys), OF_LABELS)
    ledger.close()


@pytest.fixture
def bucket_of(make_calls: MakeCalls, make_settings: MakeSettings) -> Callable[..., Bucket]:
    def make(s3: object, **fields: object) -> Bucket:
        settings = make_settings(**{"retry_seconds": 0.05, "in_flight": 4, **fields})
        return Bucket(cast(Any, s3), make_calls(settings), settings)

    return make


def test_of_a_key_alone_s3_says_what_it_is(
    bucket_of: Callable[..., Bucket], written: Written
) -> None:
    s3 = FakeS3({"1.jpg": png(), "empty.jpg": b"", "album/": b""})
    bucket = bucket_of(s3, keys=written("1.jpg\ngone.jpg\nempty.jpg\nalbum/\n"))
    (page,) = bucket.pages()
    assert [image.index for image in page] == ["1.jpg", "gone.jpg", "empty.jpg"]
    first, gone, empty = bucket.identified(page)
    assert first == Image("1.jpg", len(png()), etag(png()))
    assert (unfit(gone) or "").startswith("gone: ")
    assert (unfit(empty) or "").startswith("empty: ")
    assert s3.listings == []


def test_what_is_identified_is_not_asked_for(bucket_of: Callable[..., Bucket]) -> None:
    known = [Image("1.jpg", 7, f'"{MD5}"')]
    assert bucket_of(client()).identified(known) == known


def test_no_permission_for_one_of_the_keys_is_about_that_one(
    bucket_of: Callable[..., Bucket],
) -> None:
    denied = client(get_object=Scripted(client_error("AccessDenied", 403)))
    (image,) = bucket_of(denied).identified([Image("1.jpg", 0, "")])
    assert (unfit(image) or "").startswith("no access: ")


@pytest.mark.parametrize("code", ["KeyTooLongError", "InvalidURI", "InvalidRequest"])
def test_a_key_that_s3_does_not_take_is_about_that_one(
    code: str, bucket_of: Callable[..., Bucket]
) -> None:
    odd = client(get_object=Scripted(client_error(code, 400)))
    (image,) = bucket_of(odd).identified([Image("../1.jpg", 0, "")])
    assert code in (unfit(image) or "")


def test_a_service_that_fails_makes_no_image_fail_and_it_is_said_at_which_key(
    bucket_of: Callable[..., Bucket],
) -> None:
    failing = client(get_object=Scripted(client_error("InternalError", 500)))
    with pytest.raises(OutageError, match=r"^'1\.jpg': S3 GetObject failed"):
        bucket_of(failing).identified([Image("1.jpg", 0, "")])


@pytest.mark.parametrize("reply", [{}, {"ContentRange": "bytes 0-0/*"}, {"ETag": '"a"'}], ids=repr)
def test_an_answer_that_does_not_say_what_it_is_of_is_asked_for_again(
    reply: dict[str, Any], bucket_of: Callable[..., Bucket]
) -> None:
    odd = {**reply, "Body": io.BytesIO(b"x")}
    get = Scripted(odd, FakeS3({"1.jpg": png()}).get_object)
    (image,) = bucket_of(client(get_object=get)).identified([Image("1.jpg", 0, "")])
    assert image.size == len(png())
    assert get.calls == 2


def test_the_parts_of_a_list_are_the_list(
    bucket_of: Callable[..., Bucket], written: Written
) -> None:
    keys = [f"{n}.jpg" for n in range(100)]
    bucket = bucket_of(client(), keys=written("".join(f"{key}\n" for key in keys)))
    whole = list(bucket.parts(Listed(), 30))
    assert [part for part, _ in whole] == [
        Part(1, "", "30", 30),
        Part(2, "30", "60", 30),
        Part(3, "60", "90", 30),
        Part(4, "90", "100", 10),
    ]
    assert [image.index for _, images in whole for image in images] == keys
    reached = Listed().behind(whole[0][0], whole[1][0])
    assert list(bucket.parts(reached, 30)) == whole[2:]
    for part, images in (whole[0], whole[2], whole[0], whole[0], whole[1], whole[3]):
        assert bucket.part(part) == images
