"""Where the report's pictures come from: a folder, or the bucket."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workers.aws.calls import Calls
from workers.errors import AccessError, ImageError, PassingError, RunError
from workers.images.bucket import where
from workers.paths import is_there
from workers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# what is larger is no picture that Rekognition takes, and is not fetched to be shown
MOST_BYTES = 25_000_000


class Pictures(Protocol):
    """Where the pictures come from."""

    def fetch(self, index: str) -> bytes | None:
        """The picture's bytes, None when there is none."""


class FolderPictures:
    """Pictures of a folder, by their key with or without the prefix."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        if not (is_there(folder) and folder.is_dir()):
            raise RunError(f"there is no folder {folder}; check --images")
        self._folder = os.path.normpath(folder.absolute())
        self._prefix = prefix

    def fetch(self, index: str) -> bytes | None:
        for name in (index, index.removeprefix(self._prefix)):
            path = Path(os.path.normpath(f"{self._folder}/{name}"))
            # a key is anybody's text, and may begin with ../
            if path.is_relative_to(self._folder):
                try:
                    with path.open("rb") as file:
                        return file.read(MOST_BYTES)
                except (OSError, ValueError):
                    continue
        return None


class BucketPictures:
    """Pictures of the bucket."""

    def __init__(self, s3: S3Client, calls: Calls, settings: Settings) -> None:
        self._s3 = s3
        self._calls = calls
        self._where = where(settings)
        self._had_one = False

    def fetch(self, index: str) -> bytes | None:
        def read(reply: Any) -> bytes | None:
            # as a context manager it would give urllib3's stream, whose errors nobody retries
            with closing(reply["Body"]) as body:
                return body.read() if reply["ContentLength"] <= MOST_BYTES else None

        try:
            data = self._calls.call(
                "S3 GetObject",
                lambda: self._s3.get_object(**self._where, Key=index),
                read,
                about_image=True,
            )
        except AccessError as error:
            if not self._had_one:
                raise RunError(
                    f"no picture can be fetched from {self._where['Bucket']!r}: {error}"
                ) from error
            return None
        except (ImageError, PassingError):
            return None
        self._had_one = True
        return data
