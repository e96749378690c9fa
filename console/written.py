"""What a person has written: into a file, packed if its name says so, or to standard output."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

from workers.errors import RunError
from workers.output.files import replacing
from workers.paths import is_there

# standard input or output
STREAM = Path("-")


def check_is_file(path: Path, otherwise: str) -> None:
    """Raises RunError where there is something that is no file, nor may be replaced by one."""
    if is_there(path) and not path.is_file():
        raise RunError(f"{path} is no file; {otherwise}")


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Opens it for text in UTF-8, as it stands; a file is there whole or not at all."""
    if path == STREAM:
        cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        return
    check_is_file(path, "give another one, or - for standard output")
    with replacing(path) as file:
        if path.suffix == ".gz":
            # without name and time: the same content is the same bytes
            compressing = gzip.GzipFile("", "wb", fileobj=file.buffer, mtime=0)
            with TextIOWrapper(compressing, "utf-8", newline="\n") as text:
                yield text
        else:
            yield file
