"""What a person types on a command line of the sandbox, for argparse."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit


def folder(text: str) -> Path:
    """A folder; `make demo IMAGES=~/photos` leaves the `~` to us in some shells."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        user = Path(text).parts[0]
        raise argparse.ArgumentTypeError(f"{text!r}: there is no home of {user!r}") from error


def port(text: str) -> int:
    """A port's number; 0 for any that is free."""
    number = int(text)
    if number not in range(65536):
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return number


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def address(text: str) -> str:
    """An endpoint's address, without a path."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not like http://127.0.0.1:4566")
    return text.rstrip("/")


def add_knobs(parser: argparse.ArgumentParser) -> None:
    """The flags that make Rekognition slow, scarce or unreliable, by the names of its knobs."""
    parser.add_argument(
        "--latency",
        dest="latency_seconds",
        type=float,
        default=0,
        metavar="SECONDS",
        help="of a Rekognition call",
    )
    parser.add_argument(
        "--calls-per-second",
        type=float,
        metavar="N",
        help="quota of each Rekognition operation; calls above it are throttled (default: none)",
    )
    parser.add_argument(
        "--failure-rate",
        type=float,
        default=0,
        metavar="SHARE",
        help="share (0 to 1) of the Rekognition calls that end in InternalServerError",
    )
