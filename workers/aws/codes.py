"""What the services' errors mean: which are passing, and what a person is told of the others."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from workers.errors import OutageError, PassingError, RunError
from workers.settings import Settings

THROTTLED = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "Throttling",
    "RequestThrottled",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
    "LimitExceededException",
}
PASSING = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
NO_IDENTITY = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403", "Forbidden"}
NO_QUEUE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
UNREACHABLE = (NoConnectionError, HTTPClientError, IncompleteReadError, CredentialRetrievalError)
NO_LOGIN = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)


class PartlyFailedError(Exception):
    """Some entries of a batch were not taken; the same call with the rest is due."""


def code_of(error: BaseException) -> str:
    """The service's code of an error, or the name of its class."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__


def is_throttled(error: BaseException) -> bool:
    """Whether the service refused a call as one too many."""
    return isinstance(error, ClientError) and code_of(error) in THROTTLED


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, ClientError):
        status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in THROTTLED | PASSING or status >= 500
    return isinstance(error, (*UNREACHABLE, PartlyFailedError))


def translated(error: Exception, what: str, settings: Settings) -> Exception:
    """What the error of a call means for the worker; a ClientError about one request stays one."""
    code, text = code_of(error), _text(error)
    if is_throttled(error) or isinstance(error, UNREACHABLE):
        return OutageError(f"{what}: no answer for {settings.retry_seconds:g} s ({code}: {text})")
    if is_passing(error):
        return PassingError(f"{what} failed for {settings.retry_seconds:g} s ({code}: {text})")
    if code in EXPIRED:
        return RunError(f"{what}: the AWS credentials have expired; get new ones and start again")
    if code in NO_IDENTITY or isinstance(error, NO_LOGIN):
        return RunError(f"{what}: no valid AWS credentials ({text}); log in and start again")
    if isinstance(error, NoRegionError):
        return RunError("no AWS region is set; set AWS_REGION to the bucket's region")
    if code in REFUSED:
        return RunError(f"{what}: permission denied; allow it and start again ({text})")
    if code == "NoSuchBucket":
        return RunError(f"there is no bucket {settings.bucket!r}; check CARTEXT_BUCKET")
    if code in NO_QUEUE:
        return RunError(f"there is no queue {settings.queue_url}; check CARTEXT_QUEUE_URL")
    if isinstance(error, ClientError):
        return error
    return RunError(f"{what}: {text}")


def _text(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error.response["Error"].get("Message") or str(error)
    return " ".join(str(error).split())


def error_message(error: ClientError) -> str:
    """Code and message of a service's error, in one line."""
    message: Any = error.response["Error"].get("Message", "")
    return f"{code_of(error)}: {' '.join(str(message).split())}"
