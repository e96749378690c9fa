"""The bucket: listing and download."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from workers.aws.answers import Listing, reader
from workers.aws.calls import Calls
from workers.aws.codes import MalformedError, code_of
from workers.errors import (
    AccessError,
    ImageError,
    OutageError,
    PassingError,
    RunError,
    WorkerError,
)
from workers.images.keys import PAGE, KeyStretches, key_pages
from workers.images.limits import MAX_INLINE_BYTES, broken_content, broken_size
from workers.images.listing import images_of, in_order, side_by_side
from workers.model import Image, Listed, Part
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

# the size of an image stands behind its metadata, which may hold a preview and colour profiles
HEAD_BYTES = 64 * 1024
MD5_ETAG = re.compile('"([0-9a-f]{32})"')
# what S3 says of an object that has none
NO_FIRST_BYTE = "InvalidRange"
# with these the ETag is the content's MD5
PLAIN_ENCRYPTION = (None, "AES256")

_listing = reader(Listing)


class Bucket:
    """The images of one bucket below a prefix; `region` is the client's."""

    def __init__(self, s3: S3Client, calls: Calls, settings: Settings) -> None:
        self._s3 = s3
        self._calls = calls
        self._settings = settings
        self.name = settings.bucket
        self._where = where(settings)
        self.region = s3.meta.region_name
        keys = settings.keys
        self._key_list = (keys, self.name, settings.prefix) if keys else None
        self._stretches = KeyStretches(*self._key_list) if self._key_list else None

    def check(self) -> None:
        """Raises RunError when the bucket is not there, not ours, or in another region."""
        try:
            reply = self._first(self._where)
        except RunError as error:
            self._check_region(getattr(error.__cause__, "response", {}))
            if self._is_somebody_elses():
                raise RunError(
                    f"bucket {self.name!r} does not belong to the account "
                    f"{self._settings.expected_bucket_owner}; check CARTEXT_BUCKET, or "
                    "CARTEXT_EXPECTED_BUCKET_OWNER"
                ) from None
            raise
        self._check_region(reply)

    def _check_region(self, reply: Any) -> None:
        headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region", self.region)
        if region != self.region:
            raise RunError(
                f"bucket {self.name!r} is in {region}, but Rekognition is asked in "
                f"{self.region} and reads only that region's buckets; set AWS_REGION={region}"
            ) from None

    def _first(self, where: Any) -> Any:
        # not HeadBucket, whose errors have no body to tell them apart, nor its permission a prefix
        return self._calls.call("S3 ListObjectsV2", lambda: self._list(where, MaxKeys=1), dict)

    def _is_somebody_elses(self) -> bool:
        """Whether it can be listed as soon as nobody says whose it must be."""
        if self._where == {"Bucket": self.name}:
            return False
        try:
            self._first({"Bucket": self.name})
        except WorkerError:
            return False
        return True

    def parts(self, listed: Listed, most: int = PAGE) -> Iterator[tuple[Part, list[Image]]]:
        """The parts of the listing behind where that has come, each with up to so many images.

        They are listed, or come from the list of keys: then `identified` says what they are.
        """
        number, after = listed.parts, listed.reached
        if self._key_list:
            for place, images in key_pages(*self._key_list, int(after or 0), most):
                number += 1
                part = Part(number, after, str(place), len(images))
                yield part, _of_part(part, images)
                after = part.upto
            return
        for page in in_order(self._page, after):
            for first in range(0, len(page), most):
                number += 1
                objects = page[first : first + most]
                images = images_of(objects, number)
                part = Part(number, after, objects[-1]["Key"], len(images))
                yield part, images
                after = part.upto

    def part(self, part: Part) -> list[Image]:
        """The images of a part, as they are by now."""
        if self._stretches:
            return _of_part(part, self._stretches.read(int(part.after or 0), int(part.upto)))
        ask = partial(self._page, MaxKeys=max(1, part.images))
        pages = in_order(ask, part.after, part.upto)
        return images_of([*chain.from_iterable(pages)], part.number)

    def pages(self) -> Iterator[list[Image]]:
        """The images, up to 1,000 a page, in any order: a listing's are asked for side by side."""
        if self._key_list:
            yield from (images for _, images in key_pages(*self._key_list))
        else:
            yield from map(images_of, side_by_side(self._page))

    def identified(self, images: list[Image]) -> list[Image]:
        """The images, each with its picture, or the problem why that cannot be had.

        Of what came as a key alone S3 is asked, many at a time.
        """
        if all(image.etag for image in images):
            return images
        with ThreadPoolExecutor(self._settings.slots) as pool:
            return list(pool.map(self._identified, images))

    def _identified(self, image: Image) -> Image:
        if image.etag:
            return image
        try:
            size, etag = self._look(image.index, _size_and_etag)
        except ImageError as error:
            return replace(image, problem=str(error))
        except PassingError as error:
            raise OutageError(f"{image.index!r}: {error}") from error
        return replace(image, size=size, etag=etag)

    def _page(self, **place: Any) -> Listing:
        """The page of the listing at a place, as S3 is told it."""

        def read(reply: Any) -> Listing:
            page = _listing(reply)
            token = place.get("ContinuationToken")
            if page["IsTruncated"] and page.get("NextContinuationToken") in {None, token}:
                raise MalformedError("the listing goes on, but does not say where")
            return page

        return self._calls.call("S3 ListObjectsV2", lambda: self._list(self._where, **place), read)

    def _list(self, where: Any, **request: Any) -> Any:
        return self._s3.list_objects_v2(**where, Prefix=self._settings.prefix, **request)

    def download(
        self,
        index: str,
        etag: str = "",
        max_side: int | None = None,
        most: int = MAX_INLINE_BYTES,
    ) -> bytes | None:
        """Fetches an image and checks its limits; of one over `most` bytes only the beginning.

        Such a one goes by reference: then it returns None. Raises ImageError when it is gone, was
        replaced since `etag`, breaks a limit or has a side longer than `max_side` pixels.
        """
        condition: Any = {"IfMatch": etag} if etag else {}
        size, data = self._calls.call(
            "S3 GetObject",
            lambda: self._s3.get_object(**self._where, Key=index, **condition),
            partial(_content, most),
            about_image=True,
        )
        if broken := broken_size(size) or broken_content(data, max_side):
            raise ImageError(broken)
        return data if size <= most else None

    def check_unchanged(self, index: str, etag: str) -> None:
        """Raises ImageError when the image is gone, or was replaced since `etag`."""
        self._look(index, _let_go, IfMatch=etag)

    def why_not_readable(self, index: str) -> ImageError:
        """What Rekognition's InvalidS3ObjectException, which hides several causes, stands for.

        Raises what `Calls.call` raises when the object cannot be asked for.
        """
        try:
            self._look(index, _let_go)
        except ImageError as error:
            return error
        return AccessError(
            "not readable by Rekognition though it is there: encrypted with a key that may not be "
            "used, or in a bucket whose policy lets in some networks only (for that send bytes: "
            "CARTEXT_LABEL_SOURCE=bytes, CARTEXT_TEXT_SOURCE=bytes)"
        )

    def _look(self, index: str, read: Callable[[Any], T], **condition: Any) -> T:
        """Asks for an image's first byte."""

        def ask() -> Any:
            try:
                # not HeadObject, whose errors have no body to tell them apart
                return self._s3.get_object(**self._where, Key=index, Range="bytes=0-0", **condition)
            except ClientError as error:
                if code_of(error) == NO_FIRST_BYTE:
                    raise ImageError(broken_size(0)) from error
                raise

        return self._calls.call("S3 GetObject", ask, read, about_image=True)


def _content(most: int, reply: Any) -> tuple[int, bytes]:
    """Size and bytes of an object, of one over `most` only the first; MalformedError if they differ
    from what the answer says of them.
    """
    size, etag = int(reply["ContentLength"]), str(reply["ETag"])
    whole = size <= most
    with closing(reply["Body"]) as body:
        data: bytes = body.read(None if whole else HEAD_BYTES)
    digest = MD5_ETAG.fullmatch(etag)
    plain = (
        reply.get("ServerSideEncryption") in PLAIN_ENCRYPTION
        and "SSECustomerAlgorithm" not in reply
    )
    if (
        whole
        and plain
        and digest
        and hashlib.md5(data, usedforsecurity=False).hexdigest() != digest[1]
    ):
        raise MalformedError(f"{len(data)} bytes whose MD5 is not the ETag {etag}")
    return size, data


def _let_go(reply: Any) -> None:
    # one that is not read to its end costs the connection
    reply["Body"].read()


def _size_and_etag(reply: Any) -> tuple[int, str]:
    with closing(reply["Body"]) as body:
        # bytes 0-0/12345
        size, etag = int(reply["ContentRange"].rpartition("/")[2]), str(reply["ETag"])
        body.read()
    return size, etag


def where(settings: Settings) -> dict[str, Any]:
    """Which bucket, and whose, as every call to S3 says it."""
    owner = settings.expected_bucket_owner
    return {"Bucket": settings.bucket, **({"ExpectedBucketOwner": owner} if owner else {})}


def _of_part(part: Part, images: list[Image]) -> list[Image]:
    return [replace(image, part=part.number) for image in images]
