"""S3: keys with newlines, keys that are not there, and whose a bucket is."""

from __future__ import annotations

from typing import Any

from moto.moto_server.utilities import RegexConverter
from moto.s3.exceptions import MissingKey, S3AccessDeniedError
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response

from sandbox.aws.moto.iam import KeyLookup
from sandbox.aws.moto.patch import Before, replaces


@replaces(RegexConverter, "__init__")
def _let_keys_have_newlines(
    converter: RegexConverter, init: Before, url_map: Any, pattern: str
) -> None:
    # The routes say `.+` for a key, and a dot is any character but the newline.
    init(converter, url_map, f"(?s:{pattern})")


# A missing key is a 404 to everybody; AWS answers 403 to those who may not list it.
@replaces(S3Response, "_get_key")
def _hide_missing_keys(response: S3Response, get_key: Before, *args: Any, **kwargs: Any) -> Any:
    try:
        return get_key(response, *args, **kwargs)
    except MissingKey:
        _refuse_unless_listed(response, response.bucket_name)
        raise


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


# Whose bucket the caller expects is not looked at.
def _heed_the_expected_owner(
    response: S3Response, answer: Before, request: Any, full_url: str
) -> Any:
    expected = request.headers.get("x-amz-expected-bucket-owner")
    bucket = response.parse_bucket_name_from_url(request, full_url)
    _, owner = s3_backends.bucket_accounts.get(bucket, (None, expected))
    if expected and owner != expected:
        raise S3AccessDeniedError
    return answer(response, request, full_url)


for _name in ("_bucket_response", "_key_response"):
    replaces(S3Response, _name)(_heed_the_expected_owner)
