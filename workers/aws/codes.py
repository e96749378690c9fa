"""From an error of AWS to what it is to the worker, by the table of `workers.aws.meaning`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from workers.aws.meaning import (
    FAILING,
    LAB_ENDED,
    LATE_LOGIN,
    NO_ACCESS,
    NO_SHAPE,
    TABLE,
    THROTTLED,
    UNKNOWN,
    WRONG,
    Meaning,
    Row,
)
from workers.errors import AccessError, ImageError, OutageError, PassingError, RunError
from workers.settings import Settings


class PartlyFailedError(Exception):
    """Some entries of a batch were not taken; the same call with the rest is due."""


class MalformedError(Exception):
    """An answer is not what the service's own answers are like."""


# what else is raised in a call is the worker's own
FROM_AWS = (ClientError, BotoCoreError, PartlyFailedError, MalformedError)

# whoever names the metadata service, as the workers' units do, expects the login from there
METADATA = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

ROWS = {code: row for row in TABLE for code in row.codes}
PASSING = {Meaning.PASSING, Meaning.OUTAGE}


def row_of(error: BaseException) -> Row:
    """The row of the table that an error belongs to."""
    if isinstance(error, NoCredentialsError) and METADATA in os.environ:
        return LATE_LOGIN
    if "voc-cancel-cred" in text_of(error):
        return LAB_ENDED
    # of the SDK's classes the nearest one that has a row
    classes = [kind.__name__ for kind in type(error).__mro__]
    for code in [code_of(error)] if isinstance(error, ClientError) else classes:
        if code in ROWS:
            return ROWS[code]
    if _status(error) >= 500:
        return FAILING
    return NO_SHAPE if code_of(error).isdecimal() else UNKNOWN


def code_of(error: BaseException) -> str:
    """The service's code of an error, or the name of its class."""
    if isinstance(error, ClientError):
        return _said(error).get("Code") or str(_status(error))
    return type(error).__name__


def is_throttled(error: BaseException) -> bool:
    """Whether the service refused a call as one too many."""
    return row_of(error) is THROTTLED


def is_denied(error: BaseException) -> bool:
    """Whether whoever is logged in may not make the call."""
    return not {"AccessDenied", "AccessDeniedException"}.isdisjoint(row_of(error).codes)


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    return isinstance(error, FROM_AWS) and row_of(error).meaning in PASSING


def is_known_to_pass(code: str) -> bool:
    """Whether the table has a code that stands for no error of its own, and says it is passing."""
    return code in ROWS and ROWS[code].meaning in PASSING


def translated(error: Exception, what: str, settings: Settings, about_image: bool) -> Exception:
    """What the error of a call is to the worker: one of `workers.errors`."""
    row = row_of(error)
    said = {
        "what": what,
        "code": code_of(error),
        "text": text_of(error),
        "seconds": settings.retry_seconds,
        "bucket": settings.bucket,
        "queue_url": settings.queue_url,
    }
    says = row.says.format(**said)
    match row.meaning:
        case Meaning.IMAGE if about_image:
            return ImageError(says)
        case Meaning.ACCESS if about_image:
            return AccessError(NO_ACCESS.format(**said))
        case Meaning.IMAGE:
            return RunError(WRONG.format(**said))
        case Meaning.PASSING:
            return PassingError(says)
        case Meaning.OUTAGE:
            return OutageError(says)
        case _:
            return RunError(says)


def text_of(error: BaseException) -> str:
    """What an error says, in one line."""
    said = _said(error).get("Message") if isinstance(error, ClientError) else None
    return " ".join(str(said or error).split())


def _said(error: ClientError) -> Mapping[str, Any]:
    """The service's own words; none where something else answers in its place."""
    return error.response.get("Error", {})


def _status(error: BaseException) -> int:
    if not isinstance(error, ClientError):
        return 0
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
