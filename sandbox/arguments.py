"""What a person types on a command line of the sandbox, for argparse."""

from __future__ import annotations

import argparse
from pathlib import Path


def folder(text: str) -> Path:
    """A folder; `make demo IMAGES=~/photos` leaves the `~` to us in some shells."""
    return Path(text).expanduser()


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
