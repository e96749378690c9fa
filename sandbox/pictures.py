"""The content of a bucket: a person's own folder, every file by its path as the key, or drawn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from console.plan.model import IMAGE_NAMES
from console.words import bytes_text
from sandbox.errors import SandboxError
from sandbox.scenes import sample_images
from workers.index_queue.messages import MOST_INDEX_BYTES
from workers.model import natural_key
from workers.output.escapes import harmless

IMAGE_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG")
HEIC_NAMES = {".heic", ".heif"}
MOST_NAMED = 3
# the embedded S3 keeps them in memory, of which others want something as well
SHARE_OF_MEMORY = 1 / 3

Skipped = Callable[[str, str], None]


@dataclass(frozen=True)
class File:
    """A file and the key that it gets: its path below the folder, with `/` between the parts."""

    key: str
    path: Path


def pictures(folder: Path | None, scenes: int, skipped: Skipped) -> Iterator[tuple[str, bytes]]:
    """Key and content of what lies in a person's folder, or of so many drawn scenes.

    The folder is looked through at once, the contents as they are taken. `skipped` and errors as
    below.
    """
    if folder is None:
        return ((sample.index, sample.data) for sample in sample_images(scenes))
    return read_files(find_files(folder, skipped), skipped)


def told_by(program: str) -> Skipped:
    """Has a program tell on standard error what is left out."""

    def tell(names: str, reason: str) -> None:
        print(harmless(f"{program}: left out {names}: {reason}"), file=sys.stderr)

    return tell


def find_files(folder: Path, skipped: Skipped) -> list[File]:
    """Lists every file below `folder` in natural order (2.jpg before 10.jpg).

    What is no JPEG or PNG, or cannot be uploaded, is left out, and `skipped(names, reason)` says
    so, once for each reason. Raises SandboxError when the folder is missing, nothing is left or it
    is more than this machine has memory for.
    """
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise SandboxError(f"the folder {folder} {state}: name one with images in it")
    files = []
    left_out: dict[str, list[str]] = {}
    for path in _below(folder, skipped):
        key = path.relative_to(folder).as_posix()
        if reason := _unfit(path, key):
            left_out.setdefault(reason, []).append(_readable(key))
        else:
            files.append(File(key, path))
    for reason, names in left_out.items():
        skipped(_some(sorted(names, key=natural_key)), reason)
    if not files:
        raise SandboxError(f"the folder {folder} has no JPEG or PNG file: put photos into it")
    _refuse_too_much(folder, files)
    return sorted(files, key=lambda file: (natural_key(file.key), file.key))


def read_files(files: list[File], skipped: Skipped) -> Iterator[tuple[str, bytes]]:
    """Yields key and content of the files, one at a time; `skipped` is told of unreadable ones."""
    for file in files:
        try:
            content = file.path.read_bytes()
        except OSError as error:
            skipped(file.key, f"cannot be read ({error.strerror})")
        else:
            yield file.key, content


def _refuse_too_much(folder: Path, files: list[File]) -> None:
    size = sum(file.path.lstat().st_size for file in files)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = memory * SHARE_OF_MEMORY
    if size > most:
        raise SandboxError(
            f"the folder {folder} holds {bytes_text(size)} of images, and the embedded S3 keeps "
            f"{bytes_text(most)} at most, in this machine's memory: name one with fewer in it"
        )


def _below(folder: Path, skipped: Skipped) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        where = os.path.relpath(error.filename, folder)
        skipped(_readable(where), f"the folder cannot be read ({error.strerror})")

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in files + links)


def _unfit(path: Path, key: str) -> str | None:
    if path.is_symlink():
        return "a symbolic link; copy what it points at into the folder"
    if not path.is_file():
        return "not a regular file"
    if _readable(key) != key:
        return "its name is not UTF-8"
    if len(key.encode()) > MOST_INDEX_BYTES:
        return f"its path is longer than an S3 key may be ({MOST_INDEX_BYTES} bytes)"
    if path.suffix.lower() in HEIC_NAMES:
        return "HEIC, which Rekognition does not read; convert it to JPEG"
    # one that is an image by its name is taken as one: what is in it is for the workers to find out
    if path.suffix.lower() not in IMAGE_NAMES and not _begins_as_image(path):
        return "neither JPEG nor PNG"
    return None


def _begins_as_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(IMAGE_BEGINNINGS)
    except OSError:
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def _readable(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="replace")
