"""Which files of a run are meant: what the report and the export both ask."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from console.report.rows import run_files
from workers.settings import Settings


class RunFilesSettings(Settings):
    """The settings of a command that reads the files of a run."""

    queue_url: str = Field("", description="not needed here")
    results: Path | None = Field(None, description="results.jsonl, if not that of the run")
    of_label: tuple[Path, ...] = Field(
        (),
        description="folder with the run's failed.jsonl and near.jsonl, one for each label worker, "
        "if they are not beside results.jsonl",
    )

    @property
    def results_file(self) -> Path:
        """The results.jsonl that is given, or the run's."""
        return self.results or self.run_dir / "results.jsonl"

    @property
    def files(self) -> list[Path]:
        """It, and what label workers have written of the run."""
        return run_files(self.results_file, self.of_label)
