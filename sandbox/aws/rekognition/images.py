"""The image that a request means: its bytes, or an S3 object that the caller may read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from moto.core.exceptions import AccessDeniedError
from moto.core.responses import BaseResponse
from moto.iam.access_control import IAMRequest
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeKey, s3_backends
from moto.utilities.utils import get_partition

from sandbox.aws.moto.s3 import refuse_unless_decrypted
from sandbox.aws.rekognition.eyes.pixels import UnreadableImageError, size
from sandbox.aws.rekognition.refusals import (
    Refusal,
    internal_error,
    invalid_format,
    invalid_parameters,
)
from sandbox.errors import SandboxError

MOST_OBJECT_BYTES = 15 * 1024 * 1024
LEAST_SIDE, MOST_SIDE = 80, 10_000

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """An image's bytes, and the name under which it is counted: its key or its SHA-256."""

    name: str
    data: bytes

    def look(self, look: Callable[[bytes], T]) -> T:
        """What one of the eyes says about it. Raises Refusal when it cannot be looked at."""
        try:
            return look(self.data)
        except UnreadableImageError as error:
            raise invalid_format() from error
        except SandboxError as error:
            raise internal_error(str(error)) from error


def picture_of(operation: str, response: BaseResponse, image: dict[str, Any]) -> Picture:
    """The picture of a request's `Image`. Raises Refusal when it cannot be had or is too large."""
    picture = _picture(response, image)
    width, height = picture.look(size)
    if min(width, height) < LEAST_SIDE:
        raise invalid_parameters()
    if operation == "DetectLabels" and max(width, height) > MOST_SIDE:
        raise Refusal(
            "ImageTooLargeException",
            f"Input image dimensions {width} x {height} "
            f"exceed maximum dimension size of {MOST_SIDE} pixels",
        )
    return picture


def _picture(response: BaseResponse, image: dict[str, Any]) -> Picture:
    if len(image) != 1:
        raise invalid_parameters()
    if "Bytes" in image:
        return Picture(hashlib.sha256(image["Bytes"]).hexdigest(), image["Bytes"])
    stored = _stored_object(response, image["S3Object"])
    if stored.size > MOST_OBJECT_BYTES:
        raise Refusal("ImageTooLargeException", "Image size is too large")
    return Picture(stored.name, stored.value)


def _stored_object(response: BaseResponse, where: dict[str, Any]) -> FakeKey:
    if not {"Bucket", "Name"} <= where.keys():
        raise invalid_parameters()
    bucket, name, version = where["Bucket"], where["Name"], where.get("Version")
    partition = get_partition(response.region)
    unable = Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. "
        "Check object key, region and/or access permissions.",
    )
    try:
        response._authenticate_and_authorize_action(
            _ReadVersion if version else _Read, f"arn:{partition}:s3:::{bucket}/{name}"
        )
        s3 = s3_backends[response.current_account][partition]
        stored = s3.get_object(bucket, name, version)
        if stored is not None:
            refuse_unless_decrypted(response, stored)
        here = s3.get_bucket(bucket).region_name == response.region
    except (AccessDeniedError, S3ClientError) as error:
        raise unable from error
    if stored is None or not here:
        raise unable
    return stored


class _Read(IAMRequest):
    """Asks moto's IAM whether the caller of Rekognition may read an S3 object."""

    permission = "s3:GetObject"

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = self.permission


class _ReadVersion(_Read):
    permission = "s3:GetObjectVersion"
