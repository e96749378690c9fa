"""The images of the bucket: listing, limits that are known without a paid call, download."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import imagesize
from botocore.exceptions import ClientError

from workers.aws import Aws, code_of, error_message
from workers.errors import ImageError, RunError
from workers.records import Image
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import ImageTypeDef

# https://docs.aws.amazon.com/rekognition/latest/dg/limits.html
MAX_OBJECT_BYTES = 15 * 1024 * 1024
MAX_INLINE_BYTES = 5 * 1024 * 1024
MIN_SIDE = 80
MAX_LABEL_SIDE = 10_000
# the size of an image stands behind its metadata, which may hold a preview and colour profiles
HEAD_BYTES = 256 * 1024

END_MARK = "-1"
# SQS carries what XML 1.0 does
NOT_SENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Content:
    """An image for Rekognition: its bytes, or None where it goes by reference."""

    index: str
    data: bytes | None = None


class Bucket:
    """The images of one bucket below a prefix, one shard of them."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._s3 = aws.s3
        self._settings = settings
        self.name = settings.bucket

    def check(self) -> None:
        """Raises RunError when the bucket is not there, not ours, or in another region."""
        try:
            reply = self._aws.call("S3 HeadBucket", lambda: self._s3.head_bucket(Bucket=self.name))
        except ClientError as error:
            if code_of(error) == "404":
                raise RunError(f"there is no bucket {self.name!r}; check CARTEXT_BUCKET") from error
            raise RunError(f"bucket {self.name!r}: {error_message(error)}") from error
        region = reply.get("BucketRegion", self._aws.region)
        if region != self._aws.region:
            raise RunError(
                f"bucket {self.name!r} is in {region}, but Rekognition is asked in "
                f"{self._aws.region} and reads only that region's buckets; set AWS_REGION={region}"
            )

    def pages(self) -> Iterator[list[Image]]:
        """Lists this shard's images, up to 1,000 a page, in the order of their keys."""
        token: dict[str, Any] = {}
        while True:
            request: dict[str, Any] = {
                "Bucket": self.name,
                "Prefix": self._settings.prefix,
                **token,
            }
            reply = self._aws.call("S3 ListObjectsV2", lambda r=request: self._list(r))  # type: ignore[misc]
            yield [
                Image(entry["Key"], entry["Size"], entry["ETag"])
                for entry in reply.get("Contents", [])
                if not entry["Key"].endswith("/") and self._in_shard(entry["Key"])
            ]
            if not reply.get("IsTruncated"):
                return
            token = {"ContinuationToken": reply["NextContinuationToken"]}

    def _list(self, request: dict[str, Any]) -> Any:
        try:
            return self._s3.list_objects_v2(**request)
        except ClientError as error:
            if code_of(error) in {"PermanentRedirect", "AuthorizationHeaderMalformed"}:
                raise RunError(
                    f"bucket {self.name!r} is in another region than {self._aws.region}; set "
                    "AWS_REGION to the bucket's region"
                ) from error
            raise

    def _in_shard(self, key: str) -> bool:
        return shard_of(key, self._settings.shards) == self._settings.shard

    def download(self, index: str, etag: str = "", max_side: int | None = None) -> Content:
        """Fetches an image and checks its limits; one over 5 MB is left to go by reference.

        Raises ImageError when it is gone, was replaced since `etag`, breaks a limit or has a side
        longer than `max_side` pixels.
        """
        condition: Any = {"IfMatch": etag} if etag else {}

        def get() -> tuple[int, bytes]:
            reply = self._s3.get_object(Bucket=self.name, Key=index, **condition)
            size = reply["ContentLength"]
            with reply["Body"] as body:
                return size, body.read(None if size <= MAX_INLINE_BYTES else HEAD_BYTES)

        try:
            size, data = self._aws.call("S3 GetObject", get)
        except ClientError as error:
            raise ImageError(_why_not_read(error)) from error
        if broken := broken_size(size) or broken_content(data, max_side):
            raise ImageError(broken)
        return Content(index, data if size <= MAX_INLINE_BYTES else None)

    def why_not_readable(self, index: str) -> ImageError:
        """What Rekognition's InvalidS3ObjectException, which hides several causes, stands for.

        Raises RunError when the permission to read objects is missing.
        """
        try:
            self._aws.call(
                "S3 HeadObject", lambda: self._s3.head_object(Bucket=self.name, Key=index)
            )
        except ClientError as error:
            return ImageError(_why_not_read(error))
        return ImageError(
            "not readable by Rekognition though it is there: archived, or encrypted with a key "
            "that may not be used"
        )

    def reference(self, content: Content) -> ImageTypeDef:
        """The image as Rekognition takes it."""
        if content.data is not None:
            return {"Bytes": content.data}
        return {"S3Object": {"Bucket": self.name, "Name": content.index}}


def shard_of(key: str, shards: int) -> int:
    """The shard, from 0, that a key belongs to."""
    return zlib.crc32(key.encode()) % shards


def _why_not_read(error: ClientError) -> str:
    code = code_of(error)
    if code in {"NoSuchKey", "404"}:
        return "gone: the object is no longer in the bucket"
    if code in {"PreconditionFailed", "412"}:
        return "replaced: the object is no longer the one whose label was found"
    return error_message(error)


def broken_size(size: int) -> str | None:
    """The limit that an object of so many bytes breaks, if any."""
    if size == 0:
        return "empty: the object has no bytes"
    if size > MAX_OBJECT_BYTES:
        return f"too large: {size / 2**20:.1f} MB, Rekognition takes 15 MB at most"
    return None


def broken_name(index: str) -> str | None:
    """Why an index cannot be put on the queue, if it cannot."""
    if index == END_MARK:
        return f"not sendable: the key {END_MARK} is the end mark; rename the object"
    if NOT_SENDABLE.search(index):
        return "not sendable: the key has characters that SQS does not carry; rename the object"
    return None


def broken_content(data: bytes, max_side: int | None = None) -> str | None:
    """The limit that an image breaks by its first bytes, if any.

    `max_side` in pixels is the longest side allowed (label detection has one).
    """
    if not data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return "wrong format: neither JPEG nor PNG by its content"
    try:
        width, height = imagesize.get(io.BytesIO(data))
    except (ValueError, EOFError, OSError, IndexError):
        return None  # Rekognition will judge
    if 0 < min(width, height) < MIN_SIDE:
        return f"too small: {width} x {height} pixels, Rekognition wants {MIN_SIDE} a side"
    if max_side and max(width, height) > max_side:
        return f"too large: {width} x {height} pixels, {max_side} a side at most"
    return None
