"""Listing, parts, and the limits that are known without a paid call."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.conftest import MakeCalls, MakeSettings
from tests.unit.fakes import FakeS3, Scripted, client, client_error, etag, jpeg, png
from workers.errors import AccessError, ImageError, PassingError, RunError
from workers.images.bucket import HEAD_BYTES, Bucket
from workers.images.limits import (
    MAX_INLINE_BYTES,
    MAX_LABEL_SIDE,
    MAX_OBJECT_BYTES,
    broken_content,
    broken_size,
)
from workers.index_queue.messages import NOT_SENDABLE, unsendable
from workers.model import Listed
from workers.settings import Settings


@pytest.fixture
def bucket_of(make_calls: MakeCalls, make_settings: MakeSettings):
    def make(s3: object, **fields: object) -> Bucket:
        settings = make_settings(**{"retry_seconds": 0.05, **fields})
        return Bucket(s3, make_calls(settings), settings)

    return make


def keys_of(bucket: Bucket) -> list[str]:
    return [image.index for page in bucket.pages() for image in page]


def test_pages_follow_the_continuation_token_to_the_end(bucket_of) -> None:
    keys = [f"{number:03d}.jpg" for number in range(25)]
    s3 = FakeS3(dict.fromkeys(keys, b"x"), page_size=10)
    assert keys_of(bucket_of(s3)) == keys
    tokens = [request.get("ContinuationToken") for request in s3.listings]
    assert tokens == [None, "009.jpg", "019.jpg"]


def test_a_listed_image_has_size_and_etag(bucket_of) -> None:
    ((image,),) = bucket_of(FakeS3({"1.jpg": b"abc"})).pages()
    assert (image.index, image.size, image.etag) == ("1.jpg", 3, etag(b"abc"))


def test_folder_markers_are_no_images_and_the_prefix_holds(bucket_of) -> None:
    s3 = FakeS3(dict.fromkeys(["a/", "a/b/", "a/1.jpg", "/a/2.jpg", "ab.jpg"], b""))
    assert keys_of(bucket_of(s3)) == ["/a/2.jpg", "a/1.jpg", "ab.jpg"]
    assert keys_of(bucket_of(s3, prefix="a/")) == ["a/1.jpg"]


def test_an_empty_bucket_has_no_part(bucket_of) -> None:
    bucket = bucket_of(FakeS3({}))
    assert (list(bucket.pages()), list(bucket.parts(Listed()))) == ([[]], [])


@given(
    keys=st.sets(st.text(min_size=1), max_size=40),
    gone=st.sets(st.integers(0, 39)),
    most=st.integers(1, 9),
    page_size=st.integers(1, 9),
    done=st.integers(0, 40),
)
def test_every_image_is_in_exactly_one_part(
    keys: set[str], gone: set[int], most: int, page_size: int, done: int
) -> None:
    """Listed at once or from anywhere on; and by itself, when some of it is gone."""
    s3 = FakeS3(dict.fromkeys(keys, b"x"), page_size)
    calls: Any = SimpleNamespace(call=lambda _, request, read: read(request()))
    bucket = Bucket(s3, calls, Settings(bucket="photos", queue_url="http://queue.test/1/index"))
    images = [key for key in sorted(keys, key=str.encode) if not key.endswith("/")]
    whole = list(bucket.parts(Listed(), most))
    assert [image.index for _, found in whole for image in found] == images
    assert all(len(found) == part.images <= most for part, found in whole)
    assert [part.number for part, _ in whole] == list(range(1, 1 + len(whole)))
    reached = Listed()
    for part, _ in whole[:done]:
        reached = reached.behind(part)
    again = list(bucket.parts(reached, most))
    assert whole[:done] + again == whole or page_size % most
    assert [i.index for _, found in whole[:done] + again for i in found] == images
    for number in gone & set(range(len(images))):
        del s3.objects[images[number]]
    left = [key for number, key in enumerate(images) if number not in gone]
    alone = [image for part, _ in whole for image in bucket.part(part)]
    assert [image.index for image in alone] == left
    assert [image.part for image in alone] == [
        part.number for part, found in whole for image in found if image.index in left
    ]


def listed_in(region: str | None) -> dict[str, Any]:
    """A page of an empty bucket of this region."""
    headers = {"x-amz-bucket-region": region} if region else {}
    return {"IsTruncated": False, "ResponseMetadata": {"HTTPHeaders": headers}}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (client_error("NoSuchBucket", 404), "there is no bucket 'photos'; check CARTEXT_BUCKET"),
        (client_error("AccessDenied", 403), "S3 ListObjectsV2: permission denied"),
        (client_error("PermanentRedirect", 301), "set AWS_REGION to the bucket's region"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_told(bucket_of, error: Exception, told: str) -> None:
    bucket = bucket_of(client(list_objects_v2=Scripted(error)))
    with pytest.raises(RunError, match=told):
        bucket.check()
    with pytest.raises(RunError, match=told):
        list(bucket.pages())


@pytest.mark.parametrize("region", ["us-east-1", None])
def test_a_bucket_in_rekognitions_region_is_fine(bucket_of, region: str | None) -> None:
    s3 = client(list_objects_v2=Scripted(listed_in(region)))
    bucket_of(s3, prefix="a/").check()
    # who may list no more than the prefix may ask no more
    assert s3.list_objects_v2.requests == [{"Bucket": "photos", "Prefix": "a/", "MaxKeys": 1}]


def test_a_bucket_in_another_region_is_told_with_the_remedy(bucket_of) -> None:
    s3 = client(list_objects_v2=Scripted(listed_in("eu-west-1")))
    with pytest.raises(RunError, match=r"is in eu-west-1.*set AWS_REGION=eu-west-1"):
        bucket_of(s3).check()


ENTRY = {"Key": "1.jpg", "Size": 3, "ETag": '"a"'}


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"Contents": [ENTRY]},
        {"IsTruncated": True, "Contents": [ENTRY]},
        {"IsTruncated": True, "Contents": [ENTRY], "NextContinuationToken": ""},
        {"IsTruncated": "false", "Contents": [ENTRY]},
        {"IsTruncated": False, "Contents": ENTRY},
        {"IsTruncated": False, "Contents": [{"Key": "1.jpg", "ETag": '"a"'}]},
        {"IsTruncated": False, "Contents": [{**ENTRY, "Size": -1}]},
        {"IsTruncated": False, "Contents": [{**ENTRY, "Size": None}]},
        {"IsTruncated": False, "Contents": [{**ENTRY, "Key": ""}]},
        [],
        None,
        "<html>",
    ],
    ids=repr,
)
def test_a_page_that_is_malformed_is_neither_believed_nor_the_end(bucket_of, page: Any) -> None:
    good = {"IsTruncated": False, "Contents": [ENTRY]}
    listing = Scripted(page, good)
    assert keys_of(bucket_of(client(list_objects_v2=listing))) == ["1.jpg"]
    assert listing.calls == 2
    with pytest.raises(PassingError, match="MalformedError"):
        keys_of(bucket_of(client(list_objects_v2=Scripted(page))))


def test_pages_that_repeat_their_token_do_not_go_on_for_ever(bucket_of) -> None:
    again = {"IsTruncated": True, "Contents": [ENTRY], "NextContinuationToken": "x"}
    listing = Scripted(again, again, {"IsTruncated": False})
    assert keys_of(bucket_of(client(list_objects_v2=listing))) == ["1.jpg"]
    with pytest.raises(PassingError, match="does not say where"):
        keys_of(bucket_of(client(list_objects_v2=Scripted(again))))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "empty"),
        (1, None),
        (MAX_OBJECT_BYTES, None),
        (MAX_OBJECT_BYTES + 1, "too large: 15.0 MB"),
    ],
)
def test_broken_size(size: int, told: str | None) -> None:
    broken = broken_size(size)
    assert broken is None if told is None else broken and broken.startswith(told)


@pytest.mark.parametrize(
    "index",
    [
        "1.jpg",
        "a b.jpg",
        "a\tb\nc\rd",
        "ü😀👩\u200d🚒.jpg",
        "+%#&=?",
        "/a//b",
        "-1.jpg",
        " -1",
        "\u2028",
    ],
)
def test_names_that_sqs_carries(index: str) -> None:
    assert unsendable(index) is None


@pytest.mark.parametrize("index", ["-1", "a\0b", "\x1b[0m", "\x08", "\ufffe", "\ud800"])
def test_names_that_sqs_does_not_carry_as_they_are(index: str) -> None:
    assert (unsendable(index) or "").startswith("not sendable: ")


@given(st.text(min_size=1))
def test_a_name_is_broken_exactly_when_xml_cannot_say_it(index: str) -> None:
    def fine(character: str) -> bool:
        code = ord(character)
        return (
            code in (0x9, 0xA, 0xD)
            or 0x20 <= code <= 0xD7FF
            or 0xE000 <= code <= 0xFFFD
            or 0x10000 <= code <= 0x10FFFF
        )

    assert bool(NOT_SENDABLE.search(index)) == (not all(map(fine, index)))


@given(st.binary())
def test_bytes_that_are_no_jpeg_or_png_are_told_so(data: bytes) -> None:
    magic = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
    told = broken_content(data)
    assert data.startswith(magic) or (told or "").startswith("wrong format")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GIF89a" + bytes(99),
        b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(99),
        b"BM" + bytes(99),
        b"\x00\x00\x00\x18ftypheic" + bytes(99),
        b"<svg width='100' height='100'></svg>",
    ],
)
def test_other_formats_are_told_by_their_content(data: bytes) -> None:
    assert (broken_content(data) or "").startswith("wrong format: neither JPEG nor PNG")


@given(
    magic=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", jpeg()[:21], png()[:16]]),
    tail=st.binary(max_size=300),
    max_side=st.sampled_from([None, MAX_LABEL_SIDE]),
)
def test_no_bytes_behind_the_magic_ones_raise(
    magic: bytes, tail: bytes, max_side: int | None
) -> None:
    told = broken_content(magic + tail, max_side)
    assert told is None or told.startswith(("too small", "too large"))


@given(cut=st.integers(0, 200), flips=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255))))
def test_no_damaged_image_raises(cut: int, flips: list[tuple[int, int]]) -> None:
    for image in (jpeg(), png()):
        data = bytearray(image)
        for at, value in flips:
            data[at % len(data)] = value
        broken_content(bytes(data[:cut]), MAX_LABEL_SIDE)


@pytest.mark.parametrize("draw", [png, jpeg, lambda w, h: jpeg(w, h, 0xC2)])
@pytest.mark.parametrize(
    ("width", "height", "max_side", "told"),
    [
        (80, 80, None, None),
        (79, 500, None, "too small: 79 x 500"),
        (500, 79, None, "too small: 500 x 79"),
        (10_001, 100, None, None),
        (10_000, 100, 10_000, None),
        (10_001, 100, 10_000, "too large: 10001 x 100"),
        (100, 10_001, 10_000, "too large: 100 x 10001"),
    ],
)
def test_the_limits_of_a_side(
    draw, width: int, height: int, max_side: int | None, told: str | None
) -> None:
    broken = broken_content(draw(width, height), max_side)
    assert broken is None if told is None else broken and broken.startswith(told)


def test_a_download_has_the_bytes(bucket_of) -> None:
    bucket = bucket_of(FakeS3({"1.jpg": png()}))
    assert bucket.download("1.jpg", etag(png())) == png()


def test_what_is_over_5_mb_goes_by_reference_and_is_not_downloaded_whole(bucket_of) -> None:
    read = []

    def take(size: int | None) -> bytes:
        read.append(size)
        return png()

    body = SimpleNamespace(read=take, close=lambda: None)
    reply = {"ContentLength": MAX_INLINE_BYTES + 1, "ETag": etag(b""), "Body": body}
    bucket = bucket_of(client(get_object=Scripted(reply)))
    assert bucket.download("1.jpg") is None
    assert read == [HEAD_BYTES]


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ({}, "gone"),
        ({"1.jpg": png(tail=b"another one")}, "replaced"),
        ({"1.jpg": b""}, "replaced"),
    ],
)
def test_an_object_that_is_not_what_it_was(bucket_of, objects: dict[str, bytes], told: str) -> None:
    with pytest.raises(ImageError, match=f"^{told}: "):
        bucket_of(FakeS3(objects)).download("1.jpg", etag(png()))


@pytest.mark.parametrize(
    ("data", "max_side", "told"),
    [
        (b"", None, "empty"),
        (b"GIF89a", None, "wrong format"),
        (png(79), None, "too small"),
        (png(20_000), MAX_LABEL_SIDE, "too large"),
    ],
)
def test_a_download_that_breaks_a_limit(
    bucket_of, data: bytes, max_side: int | None, told: str
) -> None:
    with pytest.raises(ImageError, match=f"^{told}: "):
        bucket_of(FakeS3({"1.jpg": data})).download("1.jpg", "", max_side)


def test_a_download_that_is_cut_is_made_again(bucket_of) -> None:
    bodies = [StreamingBody(io.BytesIO(data), len(png())) for data in (png()[:20], png())]
    whole = {"ContentLength": len(png()), "ETag": etag(png())}
    get = Scripted(*({**whole, "Body": body} for body in bodies))
    assert bucket_of(client(get_object=get)).download("1.jpg") == png()
    assert get.calls == 2


def test_no_permission_to_download_is_about_the_image_at_first(bucket_of) -> None:
    s3 = client(get_object=Scripted(client_error("AccessDenied", 403)))
    with pytest.raises(AccessError, match=r"^no access: AccessDenied: so it is$"):
        bucket_of(s3).download("1.jpg")


@pytest.mark.parametrize(
    "odd",
    [
        {"ContentLength": 0, "Body": io.BytesIO(b"")},
        {"ContentLength": 10, "ETag": etag(png()), "Body": io.BytesIO(png()[:10])},
        {"ContentLength": 6, "Body": io.BytesIO(b"<html>")},
        {"ETag": etag(png()), "Body": io.BytesIO(png())},
        {"ContentLength": len(png()), "ETag": etag(png())},
        {},
    ],
)
def test_content_that_is_not_the_objects_own_is_fetched_again(bucket_of, odd: Any) -> None:
    good = {"ContentLength": len(png()), "ETag": etag(png()), "Body": io.BytesIO(png())}
    assert bucket_of(client(get_object=Scripted(odd, good))).download("1.jpg") == png()


@pytest.mark.parametrize(
    "reply",
    [
        {"ETag": '"0123456789abcdef0123456789abcdef"', "ServerSideEncryption": "aws:kms"},
        {"ETag": '"0123456789abcdef0123456789abcdef"', "SSECustomerAlgorithm": "AES256"},
        {"ETag": '"0123456789abcdef0123456789abcdef-2"'},
    ],
    ids=repr,
)
def test_an_etag_that_is_no_md5_proves_nothing(bucket_of, reply: dict[str, Any]) -> None:
    reply = {**reply, "ContentLength": len(png()), "Body": io.BytesIO(png())}
    assert bucket_of(client(get_object=Scripted(reply))).download("1.jpg") == png()


def test_what_rekognition_cannot_read_is_told_apart(bucket_of) -> None:
    def why(answer: object) -> ImageError:
        return bucket_of(client(get_object=Scripted(answer))).why_not_readable("1.jpg")

    assert str(why(client_error("NoSuchKey", 404))).startswith("gone: ")
    assert str(why(client_error("InvalidObjectState", 403))).startswith("archived: ")
    there = str(why({"Body": io.BytesIO(b"x")}))
    assert there.startswith("not readable by Rekognition though it is there")
    # a policy with aws:SourceVpce lets in the worker, not Rekognition, which asks from elsewhere
    assert "CARTEXT_LABEL_SOURCE=bytes" in there
    assert str(why(client_error("AccessDenied", 403))).startswith("no access: AccessDenied")
