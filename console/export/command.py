"""`cartext export`: a run as a table for a spreadsheet."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field

from console.export.sheet import By, Only, wanted, write_sheet
from console.report.files import RunFilesSettings
from console.report.rows import rows_of
from console.written import STREAM, writing


class ExportSettings(RunFilesSettings):
    """Writes the results of a run as a table for a spreadsheet: CSV in UTF-8.

    What begins like a formula gets an apostrophe before it.

    example:
      cartext export --run holidays --csv holidays.csv
      cartext export --state-dir state/b --of-label state/a/holidays --by line --only low --csv -
    """

    bucket: str = Field("", description="not needed here")
    csv: Path = Field(description="file to write, packed if it is named *.gz; - is standard output")
    by: By = Field("picture", description="what a row is: a picture, or a line of text")
    only: Only = Field("all", description="which pictures: the report's filters")
    low: float = Field(95, ge=0, le=100, description="what `--only low` is below, in percent")


SETTINGS = ExportSettings


def run(settings: ExportSettings) -> None:
    """Writes the table; RunError when a file is not as it must be, or the disk refuses."""
    rows = (row for row in rows_of(settings.files) if wanted(row, settings.only, settings.low))
    with writing(settings.csv) as file:
        count = write_sheet(file, rows, settings.by)
    # where the table itself is printed, it is all that is
    out = sys.stderr if settings.csv == STREAM else sys.stdout
    print(f"{settings.csv}: {count:,} rows", file=out)
