"""Which files of a run are meant: what the report and the export both ask."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from console.report.rows import OF_LABEL, run_files
from workers.errors import RunError
from workers.paths import is_there
from workers.settings import Folders, Settings


class RunFilesSettings(Settings):
    """The settings of a command that reads the files of a run."""

    queue_url: str = Field("", description="not needed here")
    results: Path | None = Field(None, description="results.jsonl, if not that of the run")
    of_label: Folders = Field(
        (),
        description="folder with the run's failed.jsonl and near.jsonl, one for each label worker, "
        "if they are not beside results.jsonl; with commas in between",
    )

    @property
    def results_file(self) -> Path:
        """The results.jsonl that is given, or the run's."""
        return self.results or self.run_dir / "results.jsonl"

    @property
    def files(self) -> list[Path]:
        """It, and what label workers have written of the run; RunError where a folder has none."""
        for folder in self.of_label:
            if not any(is_there(folder / name) for name in OF_LABEL):
                raise RunError(
                    f"--of-label {folder} has no {' and no '.join(OF_LABEL)}; give the folder of "
                    "the run, as state/a/default, or wait for the label worker: it writes them at "
                    "its end"
                )
        return run_files(self.results_file, self.of_label)
