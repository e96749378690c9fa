"""How fast calls are answered, how many are let in, and the counts of what was answered."""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.rekognition.refusals import Refusal, internal_error


@dataclass
class Knobs:
    """How the two operations behave; every field may be changed while the sandbox serves."""

    latency_seconds: float = 0.0
    """How long an answer takes at least; throttled calls are answered at once."""
    latency_jitter: float = 0.0
    """How much the latency varies, as a share of it: 0.2 is plus or minus 20 %."""
    calls_per_second: float | None = None
    """The quota of each operation for itself; None is no quota."""
    failure_rate: float = 0.0
    """The share of calls (0-1) that end in InternalServerError."""

    def turn(self, options: argparse.Namespace) -> None:
        """Sets what a command line says."""
        self.latency_seconds = options.latency_seconds
        self.calls_per_second = options.calls_per_second
        self.failure_rate = options.failure_rate


knobs = Knobs()


@dataclass
class Meter:
    """One operation's quota and its counts."""

    tokens: float | None = None
    filled_at: float = 0.0
    good: int = 0
    throttled: int = 0
    failed: int = 0
    paid: Counter[str] = field(default_factory=Counter)

    def has_quota(self, rate: float | None, now: float) -> bool:
        """Takes one call out of the quota, which holds at most one second's worth of calls."""
        if rate is None:
            self.tokens = None
            return True
        most = max(rate, 1.0)
        tokens = most if self.tokens is None else self.tokens + (now - self.filled_at) * rate
        self.tokens, self.filled_at = min(tokens, most), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


_lock = threading.Lock()
_meters: defaultdict[str, Meter] = defaultdict(Meter)


def counts() -> dict[str, dict[str, Any]]:
    """For each operation the calls that were `good`, `throttled` and `failed`, and `paid`.

    `paid` says how many good answers each image got, by its S3 key or, when it came as bytes, by
    the SHA-256 of those.
    """
    with _lock:
        return {
            operation: {
                "good": meter.good,
                "throttled": meter.throttled,
                "failed": meter.failed,
                "paid": dict(meter.paid),
            }
            for operation in ("DetectLabels", "DetectText")
            for meter in (_meters[operation],)
        }


def reset_counts() -> None:
    """Starts counting (and the quotas) anew."""
    with _lock:
        _meters.clear()


def hold_quota(operation: str) -> None:
    """Lets a call in, or raises the Refusal of a throttled one."""
    with _lock:
        meter = _meters[operation]
        if meter.has_quota(knobs.calls_per_second, time.monotonic()):
            return
        meter.throttled += 1
    raise Refusal("ProvisionedThroughputExceededException", "Provisioned rate exceeded")


def count(operation: str, paid_for: str | None) -> None:
    """Counts an answer: a good one by the name of its image, or a failed one."""
    with _lock:
        meter = _meters[operation]
        if paid_for is None:
            meter.failed += 1
        else:
            meter.good += 1
            meter.paid[paid_for] += 1


def fail_sometimes() -> None:
    """Raises the Refusal of a service that has a bad moment, as often as the knobs say."""
    if random.random() < knobs.failure_rate:
        raise internal_error()


@contextmanager
def latency() -> Iterator[None]:
    """Lasts at least as long as the knobs say."""
    share = random.uniform(1 - knobs.latency_jitter, 1 + knobs.latency_jitter)
    ends = time.monotonic() + knobs.latency_seconds * share
    try:
        yield
    finally:
        time.sleep(max(0.0, ends - time.monotonic()))
