"""What the stub has and how slow it is."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

BUCKET, QUEUE, PARTS, TABLE = "bench", "index", "parts", "ledger"
# 5 % of the calls take more than 1.5 times the median, 1 % more than 1.8 times
JITTER = 0.25


@dataclass(frozen=True)
class Scenario:
    """Latencies are medians in seconds; they vary log-normally, by `JITTER`."""

    images: int
    quota: float = 1e9
    """Calls a second that each of Rekognition's operations takes."""
    cars: float = 1.0
    """Share of the images with a car."""
    image_bytes: int = 100_000
    page: int = 1000
    """Keys on one page of the listing."""
    rekognition_seconds: float = 0.25
    s3_seconds: float = 0.03
    sqs_seconds: float = 0.01
    dynamodb_seconds: float = 0.005
    tls: bool = True
    """Whether a stub's process speaks it, as AWS does."""
    jitter: float = JITTER
    """Of Rekognition's calls."""


def vary(seconds: float, jitter: float = JITTER) -> float:
    """One call's latency where the median is `seconds`."""
    return seconds * math.exp(random.gauss(0, jitter)) if seconds else 0.0


def key_of(number: int) -> str:
    """The key of an image, so that the order of keys is that of numbers."""
    return f"{number:08d}.jpg"
