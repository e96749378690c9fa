"""Small stand-ins for the AWS clients."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Mapping
from hashlib import md5
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

Json = dict[str, Any]

META = SimpleNamespace(region_name="us-east-1")


def client_error(code: str, status: int = 400, message: str = "so it is") -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "SomeOperation",
    )


def png(width: int = 100, height: int = 100, tail: bytes = b"") -> bytes:
    """The beginning of a PNG, which is all that the workers look at."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header + b"0000" + tail


def jpeg(width: int = 100, height: int = 100, marker: int = 0xC0) -> bytes:
    """The beginning of a JPEG: start, frame header (0xC2: progressive), no pixels."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + bytes([0xFF, marker]) + frame


def client(**operations: Any) -> Any:
    """A client that has these operations, in the region of the tests."""
    return SimpleNamespace(meta=META, **operations)


class Scripted:
    """A callable that answers one thing after the other; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Json] = []
        self._lock = threading.Lock()

    def __call__(self, **request: Any) -> Any:
        with self._lock:
            self.requests.append(request)
            answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer(**request) if callable(answer) else answer

    @property
    def calls(self) -> int:
        return len(self.requests)


class FakeS3:
    """A bucket in memory, listed in pages of `page_size`."""

    meta = META

    def __init__(self, objects: Mapping[str, bytes], page_size: int = 1000) -> None:
        self.objects = dict(objects)
        self.page_size = page_size
        self.etags: dict[str, str] = {}
        self.listings: list[Json] = []

    def list_objects_v2(self, **request: Any) -> Json:
        self.listings.append(request)
        assert len(request.get("StartAfter", "").encode()) <= 1024, "no key is as long"
        after = request.get("ContinuationToken") or request.get("StartAfter", "")
        keys = sorted(
            (k for k in self.objects if k.startswith(request["Prefix"]) and k > after),
            key=lambda key: key.encode(),
        )
        page = keys[: min(self.page_size, request.get("MaxKeys", 1000))]
        if not page:
            return {"IsTruncated": False}
        contents = [
            {"Key": key, "Size": len(self.objects[key]), "ETag": self.etag(key)} for key in page
        ]
        if len(page) == len(keys):
            return {"IsTruncated": False, "Contents": contents}
        return {"IsTruncated": True, "Contents": contents, "NextContinuationToken": page[-1]}

    def get_object(self, **request: Any) -> Json:
        data = self.objects.get(request["Key"])
        if data is None:
            raise client_error("NoSuchKey", 404)
        found = self.etag(request["Key"])
        if request.get("IfMatch", found) != found:
            raise client_error("PreconditionFailed", 412)
        reply: Json = {"ETag": found}
        if "Range" in request:
            if not data:
                raise client_error("InvalidRange", 416)
            first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
            whole, data = len(data), data[first : last + 1]
            reply["ContentRange"] = f"bytes {first}-{first + len(data) - 1}/{whole}"
        return {**reply, "ContentLength": len(data), "Body": io.BytesIO(data)}

    def etag(self, key: str) -> str:
        """The object's own in `etags`, as those of parts and of keys are; else its MD5."""
        return self.etags.get(key) or etag(self.objects[key])


def etag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'
