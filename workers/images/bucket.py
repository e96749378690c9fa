"""The bucket: listing and download."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from workers.aws.calls import Calls
from workers.aws.codes import code_of, error_message
from workers.errors import ImageError, RunError
from workers.images.limits import MAX_INLINE_BYTES, broken_content, broken_size
from workers.model import Image
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# the size of an image stands behind its metadata, which may hold a preview and colour profiles
HEAD_BYTES = 256 * 1024


class Bucket:
    """The images of one bucket below a prefix, one shard of them; `region` is the client's."""

    def __init__(self, s3: S3Client, calls: Calls, settings: Settings) -> None:
        self._s3 = s3
        self._calls = calls
        self._settings = settings
        self.name = settings.bucket
        self.region = s3.meta.region_name

    def check(self) -> None:
        """Raises RunError when the bucket is not there, not ours, or in another region."""
        try:
            reply = self._calls.call(
                "S3 HeadBucket", lambda: self._s3.head_bucket(Bucket=self.name)
            )
        except ClientError as error:
            if code_of(error) == "404":
                raise RunError(f"there is no bucket {self.name!r}; check CARTEXT_BUCKET") from error
            raise RunError(f"bucket {self.name!r}: {error_message(error)}") from error
        region = reply.get("BucketRegion", self.region)
        if region != self.region:
            raise RunError(
                f"bucket {self.name!r} is in {region}, but Rekognition is asked in "
                f"{self.region} and reads only that region's buckets; set AWS_REGION={region}"
            )

    def pages(self, whole: bool = False) -> Iterator[list[Image]]:
        """Lists this shard's images, or those of all shards, up to 1,000 a page, by key."""
        token: dict[str, Any] = {}
        while True:
            request: dict[str, Any] = {
                "Bucket": self.name,
                "Prefix": self._settings.prefix,
                **token,
            }
            reply = self._calls.call("S3 ListObjectsV2", lambda r=request: self._list(r))  # type: ignore[misc]
            yield [
                Image(entry["Key"], entry["Size"], entry["ETag"])
                for entry in reply.get("Contents", [])
                if not entry["Key"].endswith("/") and (whole or self._in_shard(entry["Key"]))
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
                    f"bucket {self.name!r} is in another region than {self.region}; set "
                    "AWS_REGION to the bucket's region"
                ) from error
            raise

    def _in_shard(self, key: str) -> bool:
        return shard_of(key, self._settings.shards) == self._settings.shard

    def download(self, index: str, etag: str = "", max_side: int | None = None) -> bytes | None:
        """Fetches an image and checks its limits; None for one over 5 MB, which goes by reference.

        Raises ImageError when it is gone, was replaced since `etag`, breaks a limit or has a side
        longer than `max_side` pixels.
        """
        condition: Any = {"IfMatch": etag} if etag else {}

        def get() -> tuple[int, bytes]:
            reply = self._s3.get_object(Bucket=self.name, Key=index, **condition)
            size = reply["ContentLength"]
            with closing(reply["Body"]) as body:
                return size, body.read(None if size <= MAX_INLINE_BYTES else HEAD_BYTES)

        try:
            size, data = self._calls.call("S3 GetObject", get)
        except ClientError as error:
            raise ImageError(_why_not_read(error)) from error
        if broken := broken_size(size) or broken_content(data, max_side):
            raise ImageError(broken)
        return data if size <= MAX_INLINE_BYTES else None

    def why_not_readable(self, index: str) -> ImageError:
        """What Rekognition's InvalidS3ObjectException, which hides several causes, stands for.

        Raises RunError when the permission to read objects is missing.
        """
        try:
            self._calls.call(
                "S3 HeadObject", lambda: self._s3.head_object(Bucket=self.name, Key=index)
            )
        except ClientError as error:
            return ImageError(_why_not_read(error))
        return ImageError(
            "not readable by Rekognition though it is there: archived, or encrypted with a key "
            "that may not be used"
        )


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
