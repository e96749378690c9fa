"""S3: odd keys, keys that are not there or not to be read, buckets elsewhere or somebody else's."""

from __future__ import annotations

from typing import Any

from moto.core.responses import BaseResponse
from moto.moto_server.utilities import RegexConverter
from moto.s3.exceptions import MissingKey, S3AccessDeniedError
from moto.s3.models import FakeKey, s3_backends
from moto.s3.responses import S3Response

from sandbox.aws.moto.iam import KeyLookup, KeyUse
from sandbox.aws.moto.patch import Before, replaces

ELSEWHERE = """\
<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be \
addressed using the specified endpoint. Please send all future requests to this endpoint.\
</Message></Error>"""


@replaces(RegexConverter, "__init__")
def _let_keys_have_newlines(
    converter: RegexConverter, init: Before, url_map: Any, pattern: str
) -> None:
    # The routes say `.+` for a key, and a dot is any character but the newline.
    init(converter, url_map, f"(?s:{pattern})")


# A bucket answers in every region; AWS sends away who asks in another one than its own.
@replaces(S3Response, "_bucket_response")
@replaces(S3Response, "_key_response")
def _send_to_its_region(response: S3Response, answer: Before, request: Any, url: str) -> Any:
    bucket = response.backend.buckets.get(response.parse_bucket_name_from_url(request, url))
    if not bucket or bucket.region_name == response.region or request.method == "PUT":
        return answer(response, request, url)
    return 301, {"x-amz-bucket-region": bucket.region_name}, ELSEWHERE


# A missing key is a 404 to everybody; AWS answers 403 to those who may not list it. And what is
# encrypted opens for everybody who may read it.
@replaces(S3Response, "_get_key")
def _hide_missing_keys(response: S3Response, get_key: Before, *args: Any, **kwargs: Any) -> Any:
    try:
        found = get_key(response, *args, **kwargs)
    except MissingKey:
        _refuse_unless_listed(response, response.bucket_name)
        raise
    refuse_unless_decrypted(response, found[0])
    return found


@replaces(S3Response, "head_object")
def _hide_their_heads(
    response: S3Response, head: Before, bucket_name: str, *args: Any, **kwargs: Any
) -> Any:
    answer = head(response, bucket_name, *args, **kwargs)
    if answer[0] == 404:
        _refuse_unless_listed(response, bucket_name)
    return answer


def _refuse_unless_listed(response: S3Response, bucket: str) -> None:
    response._authenticate_and_authorize_action(KeyLookup, f"arn:aws:s3:::{bucket}")


def refuse_unless_decrypted(response: BaseResponse, stored: FakeKey) -> None:
    """Raises S3's refusal for a caller who may not use the key that an object is encrypted with."""
    if stored.encryption == "aws:kms" and stored.kms_key_id:
        response._authenticate_and_authorize_action(KeyUse, stored.kms_key_id)


# Whose bucket the caller expects is not looked at.
@replaces(S3Response, "_bucket_response")
@replaces(S3Response, "_key_response")
def _heed_the_expected_owner(
    response: S3Response, answer: Before, request: Any, full_url: str
) -> Any:
    expected = request.headers.get("x-amz-expected-bucket-owner")
    bucket = response.parse_bucket_name_from_url(request, full_url)
    _, owner = s3_backends.bucket_accounts.get(bucket, (None, expected))
    if expected and owner != expected:
        raise S3AccessDeniedError
    return answer(response, request, full_url)
