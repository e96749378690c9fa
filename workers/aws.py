"""The one place that makes AWS clients, calls them, and decides what is tried again."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
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
from botocore.utils import parse_timestamp
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from workers import inline_image
from workers.errors import OutageError, PassingError, RunError, StoppedError
from workers.settings import Settings
from workers.stop import Stop

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

log = structlog.get_logger()

T = TypeVar("T")

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


class AwsCalls:
    """The one policy by which every call is made, and the clients that leave it to that."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        # the SDK's own retries are off: two layers of them multiply
        self._config = Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=settings.slots + 16,
            connect_timeout=5,
            read_timeout=max(30, settings.poll_seconds + 10),
            tcp_keepalive=True,
            # the settings and the services' own answers are all that goes into a call
            parameter_validation=False,
            # botocore would put its own together twice a call, an eighth of the call's CPU time
            user_agent=f"cartext Botocore/{botocore.__version__}",
        )
        self._settings = settings
        self._stop = stop
        self._retry_seconds = settings.retry_seconds

    def clients(self, *services: str) -> Any:
        """Makes a client of each service, in this order; RunError without a region or a login."""
        try:
            sdk = botocore.session.Session()
            # a page of a listing has a thousand times that nobody reads
            sdk.get_component("response_parser_factory").set_parser_defaults(
                timestamp_parser=parse_time
            )
            inline_image.speed_up(sdk)
            # boto3 alone of AWS's clients looks for AWS_DEFAULT_REGION only
            region = os.environ.get("AWS_REGION")
            session: Any = boto3.session.Session(botocore_session=sdk, region_name=region)
            return [session.client(service, config=self._config) for service in services]
        except (BotoCoreError, ValueError) as error:
            raise _translated(error, "AWS", self._settings) from error

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Calls `function` until it answers, for `retry_seconds` at most (full jitter, logged).

        Raises ClientError as it is where the error is about this one request, PassingError when
        the service failed all the time, OutageError when it could not be reached or refused by
        throttling all the time, RunError when nobody's request can succeed (permission, login,
        bucket, queue), StoppedError when the worker stops in between.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            stop=stop_after_delay(self._retry_seconds) | stop_when_event_set(self._stop.event),
            sleep=sleep_using_event(self._stop.event),
            before_sleep=lambda state: _log_retry(what, state),
            reraise=True,
        )
        try:
            return retrying(function)
        except (ClientError, BotoCoreError, PartlyFailedError) as error:
            if is_passing(error) and self._stop:
                raise StoppedError from error
            raise _translated(error, what, self._settings) from error


class Aws(AwsCalls):
    """The clients of a worker, made once."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        super().__init__(settings, stop)
        self.s3: S3Client
        self.sqs: SQSClient
        self.rekognition: RekognitionClient
        self.s3, self.sqs, self.rekognition = self.clients("s3", "sqs", "rekognition")

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """Made when it is asked for: the workers do without."""
        client: CloudWatchClient = self.clients("cloudwatch")[0]
        return client

    @property
    def region(self) -> str:
        """The region in which Rekognition is asked."""
        return self.rekognition.meta.region_name


def parse_time(value: Any) -> datetime:
    """A time in an answer, as botocore parses it, but the usual forms ten times as fast."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(AttributeError, TypeError, ValueError):
            return parse(value)
    parsed: datetime = parse_timestamp(value)
    return parsed


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


def _log_retry(what: str, state: RetryCallState) -> None:
    assert state.outcome and state.next_action  # noqa: S101 - set by tenacity before it calls this
    error = state.outcome.exception()
    log.warning(
        "retry",
        call=what,
        error=code_of(error) if error else None,
        attempt=state.attempt_number,
        sleep=round(state.next_action.sleep, 2),
    )


def _translated(error: Exception, what: str, settings: Settings) -> Exception:
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
