"""The commands of `cartext` that are the sandbox's, by name: nothing of the console imports it.

A host's wheel has no sandbox.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from workers.errors import DO_NOT_START_AGAIN

OUTSIDE = {
    "demo": "sandbox.demo.__main__",
    "sandbox": "sandbox.__main__",
    "rekognition": "sandbox.aws.rekognition.__main__",
}


class Outside(Protocol):
    """What each of these modules has."""

    def main(self, arguments: Sequence[str]) -> int:
        """Runs it; returns the exit status."""

    def command_line(self) -> ArgumentParser:
        """What may be typed."""


def there() -> bool:
    """Whether there is a sandbox."""
    return find_spec("sandbox") is not None


def module(name: str) -> Outside:
    """That of a command, where there is a sandbox."""
    return cast(Outside, import_module(OUTSIDE[name]))


def run(name: str, arguments: Sequence[str]) -> int:
    """Runs one of them, or says that it is not there; returns the exit status."""
    if there():
        return module(name).main(arguments)
    print(  # noqa: T201 - for people
        f"cartext {name}: not in this wheel, which is a worker host's: "
        "take that of a release, or a clone",
        file=sys.stderr,
    )
    return DO_NOT_START_AGAIN
