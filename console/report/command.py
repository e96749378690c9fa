"""`cartext report`: a run as one HTML page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from console.report.files import RunFilesSettings
from console.report.pictures import BucketPictures, FolderPictures, Pictures
from console.report.rows import MOST_SHOWN
from console.words import bytes_text
from console.written import check_is_file
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import RunError
from workers.threads.stop import Stop

if TYPE_CHECKING:
    from console.report.page import Written


class ReportSettings(RunFilesSettings):
    """Makes one self-contained HTML page from the files of a run and the pictures.

    The pictures come from the bucket, or from a folder that has them by their keys. It needs
    Pillow and Jinja2: pip install 'cartext[report]'.

    example:
      cartext report --bucket my-photos --run holidays
      cartext report --state-dir state/b --of-label state/a/holidays --images ~/Pictures/cars
    """

    bucket: str = Field("", description="S3 bucket with the images")
    images: Path | None = Field(None, description="folder with the images, instead of the bucket")
    output: Path | None = Field(None, description="page to write, if not report.html beside it")
    most: int = Field(
        MOST_SHOWN, ge=1, description="pictures that are loaded and shown; the summary counts all"
    )
    thumbnail: int = Field(320, ge=64, le=1024, description="longer side of a thumbnail in pixels")
    as_json: bool = Field(False, validation_alias="json", description="print JSON")


SETTINGS = ReportSettings


def run(settings: ReportSettings) -> None:
    """Writes the page; RunError without results, pictures, or what only the report needs."""
    output = settings.output or settings.results_file.with_name("report.html")
    check_is_file(output, "give --output the page to write, as report.html")
    pictures = _open_pictures(settings)
    try:
        from console.report.page import write_report  # noqa: PLC0415 - the workers do without
    except ModuleNotFoundError as error:
        raise RunError(
            f"the report needs Pillow and Jinja2: pip install 'cartext[report]' ({error})"
        ) from error
    written = write_report(settings.files, output, pictures, settings.most, settings.thumbnail)
    told = _as_json(output, written) if settings.as_json else _as_text(output, written)
    print(told)  # noqa: T201 - what the command is for


def _as_text(output: Path, written: Written) -> str:
    text = f"{output}: {written.shown:,} pictures, {bytes_text(output.stat().st_size)}"
    if left := written.of - written.shown:
        text += (
            f"; to show the other {left:,}, about {bytes_text(written.size_of_the_others)} must be "
            f"loaded: --most {written.of}"
        )
    return text


def _as_json(output: Path, written: Written) -> str:
    told = {
        "schema": 1,
        "page": str(output),
        "size": output.stat().st_size,
        "shown": written.shown,
        "of": written.of,
        "size_of_the_others": round(written.size_of_the_others),
    }
    return json.dumps(told)


def _open_pictures(settings: ReportSettings) -> Pictures:
    if settings.images:
        return FolderPictures(settings.images, settings.prefix)
    if not settings.bucket:
        raise RunError("no pictures: set CARTEXT_BUCKET, or give a folder with --images")
    (s3,) = make_clients(settings, "s3")
    return BucketPictures(s3, Calls(settings, Stop()), settings)
