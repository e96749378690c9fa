"""Rekognition: constant answers give way to those of one that looks, at moto's own S3."""

from __future__ import annotations

from functools import partial
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import AccessDeniedError
from moto.core.responses import BaseResponse
from moto.iam.access_control import IAMRequest
from moto.rekognition.responses import RekognitionResponse
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeKey, s3_backends
from moto.utilities.utils import get_partition

from sandbox.aws.moto.patch import Before, replaces
from sandbox.aws.moto.s3 import refuse_unless_decrypted
from sandbox.aws.rekognition import service
from sandbox.aws.rekognition.images import check_weight
from sandbox.aws.rekognition.refusals import unable_to_get


# Whatever the image, the labels and the text are always the same.
@replaces(RekognitionResponse, "detect_labels")
def _detect_labels(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return _answer("DetectLabels", response)


@replaces(RekognitionResponse, "detect_text")
def _detect_text(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return _answer("DetectText", response)


def _answer(operation: str, response: BaseResponse) -> TYPE_RESPONSE:
    status, body = service.answer(operation, response.body, partial(_read_object, response))
    return status, {"status": str(status), "Content-Type": service.CONTENT_TYPE}, body


def _read_object(response: BaseResponse, where: dict[str, Any]) -> bytes:
    """What the caller of Rekognition, and nobody else, may read."""
    stored = _stored_object(response, where)
    check_weight(stored.size)
    return stored.value


def _stored_object(response: BaseResponse, where: dict[str, Any]) -> FakeKey:
    bucket, name, version = where["Bucket"], where["Name"], where.get("Version")
    partition = get_partition(response.region)
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
        raise unable_to_get() from error
    if stored is None or not here:
        raise unable_to_get()
    return stored


class _Read(IAMRequest):
    """Asks moto's IAM whether the caller of Rekognition may read an S3 object."""

    permission = "s3:GetObject"

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = self.permission


class _ReadVersion(_Read):
    permission = "s3:GetObjectVersion"
