"""What an error of AWS means: the one table of which retries, exits and docs/errors.md are made.

Each error has one meaning. What no row names is passing: an error that nobody has foreseen never
costs an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from workers.errors import ImageError, OutageError, PassingError, RunError
from workers.settings import Settings


class Meaning(Enum):
    """What an error is about; the value is how docs/errors.md says it."""

    IMAGE = "this image"
    PASSING = "passing"
    OUTAGE = "passing, and not about an image"
    EVERYBODY = "everybody's"
    BUG = "a bug"


class PartlyFailedError(Exception):
    """Some entries of a batch were not taken; the same call with the rest is due."""


class MalformedError(Exception):
    """An answer is not what the service's own answers are like."""


# what else is raised in a call is the worker's own
FROM_AWS = (ClientError, BotoCoreError, PartlyFailedError, MalformedError)


@dataclass(frozen=True)
class Row:
    """Errors of one meaning, by the service's codes or by the SDK's classes.

    `says` is what a person reads in the log, with `{what}` (the call), `{code}`, `{text}` (the
    service's own), `{seconds}` of trying and the settings; `do` is what is to be done.
    """

    codes: tuple[str, ...]
    meaning: Meaning
    says: str
    do: str


NO_ANSWER = "{what}: no answer for {seconds:g} s ({code}: {text})"
FAILED = "{what} failed for {seconds:g} s ({code}: {text})"
WRONG = "{what}: {code}: {text}"

THROTTLED = Row(
    (
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    Meaning.OUTAGE,
    NO_ANSWER,
    "nothing; if it lasts, somebody else uses the quota: lower CARTEXT_QUOTA",
)
NO_LOGIN = Row(
    ("NoCredentialsError",),
    Meaning.EVERYBODY,
    "{what}: no valid AWS credentials ({text}); log in and start again",
    "log in, or give the instance its role",
)
LATE_LOGIN = Row(
    ("NoCredentialsError where AWS_EC2_METADATA_SERVICE_ENDPOINT is set",),
    Meaning.OUTAGE,
    "{what}: the instance's metadata service has no credentials yet ({text})",
    "nothing, if it passes; else give the instance its role",
)
NO_SHAPE = Row(
    ("300-499 without the service's own code",),
    Meaning.OUTAGE,
    NO_ANSWER,
    "look for a proxy, a portal or a firewall that answers in the service's place",
)
FAILING = Row(
    (
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "ServiceUnavailable",
        "TransactionConflictException",
        "TransactionInProgressException",
        "PartlyFailedError",
        "500-599",
    ),
    Meaning.PASSING,
    FAILED,
    "nothing; the image is tried again later",
)
UNKNOWN = Row(
    ("any other",),
    Meaning.PASSING,
    FAILED,
    "read what the service says, and report the code: it deserves a row here",
)

TABLE = (
    THROTTLED,
    FAILING,
    Row(
        ("MalformedError",),
        Meaning.PASSING,
        FAILED,
        "nothing, if it passes; else look for what answers in the service's place",
    ),
    NO_SHAPE,
    Row(
        (
            "ConnectionError",
            "HTTPClientError",
            "IncompleteReadError",
            "CredentialRetrievalError",
            "MetadataRetrievalError",
        ),
        Meaning.OUTAGE,
        NO_ANSWER,
        "check the network, the endpoint, the instance's role",
    ),
    Row(
        ("NoSuchKey", "NoSuchVersion"),
        Meaning.IMAGE,
        "gone: the object is no longer in the bucket",
        "upload it again",
    ),
    Row(
        ("PreconditionFailed",),
        Meaning.IMAGE,
        "replaced: the object is no longer the one whose label was found",
        "begin another run, which looks at the new one",
    ),
    Row(
        ("InvalidObjectState",),
        Meaning.IMAGE,
        "archived: the object must be restored before it can be read",
        "restore it from its storage class",
    ),
    Row(
        (
            "KMS.DisabledException",
            "KMS.InvalidStateException",
            "KMS.KMSInvalidStateException",
            "KMS.NotFoundException",
        ),
        Meaning.IMAGE,
        "{code}: {text}",
        "enable the key that the object is encrypted with",
    ),
    Row(
        (
            "ImageTooLargeException",
            "InvalidImageFormatException",
            "InvalidParameterException",
            "ValidationException",
        ),
        Meaning.IMAGE,
        "{code}: {text}",
        "convert the image: JPEG or PNG, 80 to 10,000 pixels a side, 15 MB at most",
    ),
    Row(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        Meaning.EVERYBODY,
        "{what}: the AWS credentials have expired; get new ones and start again",
        "log in again",
    ),
    Row(
        (
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
            "PartialCredentialsError",
            "ProfileNotFound",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
        ),
        Meaning.EVERYBODY,
        "{what}: no valid AWS credentials ({text}); log in and start again",
        "log in, or give the instance its role",
    ),
    NO_LOGIN,
    LATE_LOGIN,
    Row(
        ("RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"),
        Meaning.EVERYBODY,
        "{what}: this machine's clock is wrong ({text}); set it and start again",
        "switch on time synchronisation (chrony, systemd-timesyncd)",
    ),
    Row(
        ("InvalidSignatureException", "SignatureDoesNotMatch"),
        Meaning.EVERYBODY,
        "{what}: no valid AWS credentials, or this machine's clock is wrong ({text}); log in and "
        "start again",
        "log in; check the clock",
    ),
    Row(
        ("AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden"),
        Meaning.EVERYBODY,
        "{what}: permission denied; allow it and start again ({text})",
        "allow the call that is named, see terraform/iam.tf",
    ),
    Row(
        (
            "AccountProblem",
            "AllAccessDisabled",
            "NotSignedUp",
            "OptInRequired",
            "SubscriptionRequiredException",
        ),
        Meaning.EVERYBODY,
        "{what}: the account may not use this service ({code}: {text})",
        "ask AWS Support, or whoever governs the account",
    ),
    Row(
        (
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
            "TemporaryRedirect",
        ),
        Meaning.EVERYBODY,
        "bucket {bucket!r} is in another region than the one that is set; set AWS_REGION to the "
        "bucket's region ({text})",
        "set AWS_REGION to the bucket's region",
    ),
    Row(
        ("NoRegionError",),
        Meaning.EVERYBODY,
        "no AWS region is set; set AWS_REGION to the bucket's region",
        "set AWS_REGION",
    ),
    Row(
        ("NoSuchBucket",),
        Meaning.EVERYBODY,
        "there is no bucket {bucket!r}; check CARTEXT_BUCKET",
        "correct the setting",
    ),
    Row(
        ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        Meaning.EVERYBODY,
        "there is no queue {queue_url}; check CARTEXT_QUEUE_URL",
        "correct the setting",
    ),
    Row(
        ("ResourceNotFoundException",),
        Meaning.EVERYBODY,
        "{what}: there is no such table ({text}); check CARTEXT_LEDGER",
        "correct the setting",
    ),
    Row(
        ("BotoCoreError",),
        Meaning.EVERYBODY,
        "{what}: {text}",
        "what the SDK says; most often a setting of its own",
    ),
    Row(
        (
            "InvalidAction",
            "MalformedXML",
            "MissingParameter",
            "SerializationException",
            "TransactionCanceledException",
            "UnknownOperationException",
        ),
        Meaning.BUG,
        WRONG + "; this is a fault of cartext's: please report it",
        "report it",
    ),
    UNKNOWN,
)

# whoever names the metadata service, as the workers' units do, expects the login from there
METADATA = "AWS_EC2_METADATA_SERVICE_ENDPOINT"

ROWS = {code: row for row in TABLE for code in row.codes}


def row_of(error: BaseException) -> Row:
    """The row of the table that an error belongs to."""
    if isinstance(error, NoCredentialsError) and METADATA in os.environ:
        return LATE_LOGIN
    for code in _codes(error):
        if code in ROWS:
            return ROWS[code]
    status = _status(error)
    if status >= 500:
        return FAILING
    return NO_SHAPE if code_of(error).isdecimal() else UNKNOWN


def code_of(error: BaseException) -> str:
    """The service's code of an error, or the name of its class."""
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code") or str(_status(error))
    return type(error).__name__


def is_throttled(error: BaseException) -> bool:
    """Whether the service refused a call as one too many."""
    return row_of(error) is THROTTLED


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    passing = {Meaning.PASSING, Meaning.OUTAGE}
    return isinstance(error, FROM_AWS) and row_of(error).meaning in passing


def translated(error: Exception, what: str, settings: Settings, about_image: bool) -> Exception:
    """What the error of a call is to the worker: one of `workers.errors`."""
    row = row_of(error)
    names = {"bucket": settings.bucket, "queue_url": settings.queue_url}
    said = {"code": code_of(error), "text": text_of(error), "seconds": settings.retry_seconds}
    match row.meaning:
        case Meaning.IMAGE if about_image:
            return ImageError(row.says.format(what=what, **said, **names))
        case Meaning.IMAGE:
            return RunError(WRONG.format(what=what, **said))
        case Meaning.PASSING:
            return PassingError(row.says.format(what=what, **said, **names))
        case Meaning.OUTAGE:
            return OutageError(row.says.format(what=what, **said, **names))
        case _:
            return RunError(row.says.format(what=what, **said, **names))


def text_of(error: BaseException) -> str:
    """What an error says, in one line."""
    said = error.response["Error"].get("Message") if isinstance(error, ClientError) else None
    return " ".join(str(said or error).split())


def _codes(error: BaseException) -> Iterator[str]:
    if isinstance(error, ClientError):
        yield code_of(error)
    else:
        # the SDK's classes: the nearest one that has a row
        yield from (kind.__name__ for kind in type(error).__mro__)


def _status(error: BaseException) -> int:
    if not isinstance(error, ClientError):
        return 0
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
