"""The one policy by which every call to AWS is made: retries with backoff, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_base

from workers.aws.codes import PartlyFailedError, code_of, is_passing, translated
from workers.errors import StoppedError
from workers.settings import Settings
from workers.threads.stop import Stop

log = structlog.get_logger()

T = TypeVar("T")

# seconds, full jitter
BACKOFF = wait_random_exponential(multiplier=0.2, max=10)


class Calls:
    """Makes calls by that policy; the SDK's own retries are off, for two layers multiply."""

    def __init__(self, settings: Settings, stop: Stop, backoff: wait_base = BACKOFF) -> None:
        self._settings = settings
        self._stop = stop
        self._backoff = backoff

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Calls `function` until it answers, for `retry_seconds` at most (full jitter, logged).

        Raises ClientError as it is where the error is about this one request, PassingError when
        the service failed all the time, OutageError when it could not be reached or refused by
        throttling all the time, RunError when nobody's request can succeed (permission, login,
        bucket, queue), StoppedError when the worker stops in between.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=self._backoff,
            stop=stop_after_delay(self._settings.retry_seconds)
            | stop_when_event_set(self._stop.event),
            sleep=sleep_using_event(self._stop.event),
            before_sleep=lambda state: _log_retry(what, state),
            reraise=True,
        )
        try:
            return retrying(function)
        except (ClientError, BotoCoreError, PartlyFailedError) as error:
            if is_passing(error) and self._stop:
                raise StoppedError from error
            raise translated(error, what, self._settings) from error


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
