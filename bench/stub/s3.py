"""A bucket with as many images as are wanted, each made when it is asked for."""

from __future__ import annotations

import hashlib
import io
import random
from bisect import bisect_right
from time import time

from PIL import Image

from bench.stub.http import Request, Respond
from bench.stub.scenario import BUCKET, Scenario, key_of, vary
from workers.model import Picture

JPEG_END = b"\xff\xd9"
MODIFIED = "2024-01-01T00:00:00.000Z"
# what a real answer has, too, and a client reads
HEADERS = (
    "x-amz-id-2: uvzGQ2VIRv8mNUwGgVVbCkbI2vnYWAAIUcy9BJxJjtCAIlhGyGqhVUAe5Xg3f0k5wT4v3vJ8Wgk=\r\n"
    "x-amz-request-id: 3WN3ZTJQXF0E6QYH\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: AmazonS3\r\n"
    "x-amz-server-side-encryption: AES256\r\nAccept-Ranges: bytes\r\n"
    "Content-Type: image/jpeg\r\n"
)


class Images:
    """A JPEG of noise, behind whose end stands the key; in every process the same."""

    def __init__(self, size: int) -> None:
        self._jpeg = _jpeg(size)
        self._hash = hashlib.md5(self._jpeg, usedforsecurity=False)

    def data(self, key: str) -> bytes:
        """The bytes."""
        return self._jpeg + key.encode()

    def picture(self, key: str) -> Picture:
        """ETag and size; the JPEG's part of the MD5 is made once."""
        whole = self._hash.copy()
        whole.update(key.encode())
        return Picture(f'"{whole.hexdigest()}"', len(self._jpeg) + len(key))


class S3:
    """HeadBucket, ListObjectsV2, GetObject."""

    def __init__(self, scenario: Scenario, counts: dict[str, int]) -> None:
        self._scenario = scenario
        self._counts = counts
        self._images = Images(scenario.image_bytes)
        self.downloads: dict[str, float] = {}
        """When each image was first asked for."""

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers an S3 call."""
        _, bucket, key = (request.path + "/").split("/", 2)
        after = vary(self._scenario.s3_seconds)
        if bucket != BUCKET:
            respond(status=404, after=after)
        elif request.method == "HEAD":
            self._count("HeadBucket")
            respond(headers="x-amz-bucket-region: us-east-1\r\n", after=after)
        elif key:
            self._count("GetObject")
            self._get(key.removesuffix("/"), request, respond, after)
        else:
            self._count("ListObjectsV2")
            respond(self._page(request.query), after=after)

    def _count(self, operation: str) -> None:
        self._counts[f"S3 {operation}"] += 1

    def _get(self, key: str, request: Request, respond: Respond, after: float) -> None:
        etag = self._images.picture(key).etag
        if request.header("if-match") not in {"", etag}:
            respond(status=412, after=after)
        elif request.header("range"):
            headers = f"{HEADERS}ETag: {etag}\r\nContent-Range: bytes 0-0/*\r\n"
            respond(b"\xff", 206, after=after, headers=headers)
        else:
            self.downloads.setdefault(key, time())
            headers = f"{HEADERS}ETag: {etag}\r\n"
            respond(self._images.data(key), after=after, headers=headers)

    def _page(self, query: dict[str, str]) -> bytes:
        numbers = range(self._scenario.images)
        after = bisect_right(numbers, query.get("start-after", ""), key=key_of)
        first = int(query.get("continuation-token", after))
        size = min(self._scenario.page, int(query.get("max-keys", self._scenario.page)))
        past = min(first + size, self._scenario.images)
        more = past < self._scenario.images
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>{etag}</ETag><Size>{size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in map(key_of, range(first, past))
            for etag, size in [self._images.picture(key)]
        )
        token = f"<NextContinuationToken>{past}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix></Prefix><KeyCount>{past - first}</KeyCount>"
            f"<MaxKeys>{size}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{entries}</ListBucketResult>"
        ).encode()


def key_in(end: bytes) -> str:
    """The key that stands behind the end of a JPEG."""
    return end[end.rindex(JPEG_END) + len(JPEG_END) :].decode()


def _jpeg(size: int) -> bytes:
    """A JPEG of about so many bytes: noise, made larger until it is."""
    side, noise = 80, random.Random(0)
    while True:
        file = io.BytesIO()
        pixels = noise.randbytes(side * side)
        Image.frombytes("L", (side, side), pixels).save(file, "JPEG", quality=90)
        if file.tell() >= size:
            return file.getvalue()
        side = side * 5 // 4
