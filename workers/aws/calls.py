"""The one policy by which every call to AWS is made: retries with backoff, within a bound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import structlog
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_base
from urllib3.exceptions import HTTPError

from workers.aws.codes import (
    FROM_AWS,
    MalformedError,
    code_of,
    is_passing,
    text_of,
    translated,
)
from workers.aws.deadline import deadline
from workers.errors import StoppedError
from workers.settings import Settings
from workers.threads.stop import Stop

log = structlog.get_logger()

T = TypeVar("T")

# seconds, full jitter
BACKOFF = wait_random_exponential(multiplier=0.2, max=10)
# what the SDK and `read` raise over an answer that is not like the service's own
NOT_UNDERSTOOD = (
    ResponseParserError,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    # of a body that breaks off
    HTTPError,
    OSError,
)


class Calls:
    """Makes calls by that policy; the SDK's own retries are off, for two layers multiply.

    Where they are for the `drain`, a worker that stops goes on making them, until its stop's
    `drained_by`.
    """

    def __init__(
        self, settings: Settings, stop: Stop, backoff: wait_base = BACKOFF, drain: bool = False
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._backoff = backoff
        self._is_over = partial(_is_drained, stop) if drain else stop.event.is_set
        self._sleep = time.sleep if drain else sleep_using_event(stop.event)

    def call(
        self,
        what: str,
        request: Callable[[], Any],
        read: Callable[[Any], T],
        about_image: bool = False,
        turn: Callable[[], float] = lambda: 0.0,
    ) -> T:
        """Makes a request until it has an answer that `read` understands.

        For `retry_seconds` at most (full jitter, logged), each attempt within a deadline. Before
        each it waits for its `turn`, which returns how many seconds of that do not count. Raises
        by `workers.aws.meaning`: ImageError where the call is about an image that can never
        succeed, PassingError when the service failed all the time, OutageError when it could not be
        reached or refused by throttling all the time, RunError when nobody's request can succeed,
        StoppedError when the worker stops in between.
        """
        # who waits for its first turn has not tried yet
        counted_from = math.inf

        def over(_: RetryCallState) -> bool:
            tried = time.monotonic() - counted_from
            return tried >= self._settings.retry_seconds or self._is_over()

        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=self._backoff,
            stop=over,
            sleep=self._sleep,
            before_sleep=lambda state: _log_retry(what, state),
            reraise=True,
        )

        def attempt() -> T:
            nonlocal counted_from
            not_counted = turn()
            counted_from = min(counted_from + not_counted, time.monotonic())
            with deadline(self._stop):
                try:
                    return read(request())
                except BotoCoreError:
                    raise
                except NOT_UNDERSTOOD as error:
                    raise MalformedError(f"{type(error).__name__}: {error}") from error

        try:
            return retrying(attempt)
        except FROM_AWS as error:
            if is_passing(error) and self._stop:
                raise StoppedError from error
            raise translated(error, what, self._settings, about_image) from error


def _is_drained(stop: Stop) -> bool:
    return time.monotonic() >= stop.drained_by


def _log_retry(what: str, state: RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    assert error and state.next_action  # noqa: S101 - set by tenacity before it calls this
    log.warning(
        "retry",
        call=what,
        error=code_of(error),
        said=text_of(error)[:200],
        attempt=state.attempt_number,
        sleep=round(state.next_action.sleep, 2),
    )
