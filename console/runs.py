"""`cartext runs`: which runs a ledger has, and letting go of one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pydantic import Field

from console.services import no_ledger
from console.state_lock import alone
from console.words import table
from workers.ending import finished
from workers.errors import RunError
from workers.ledger.sqlite import SqliteLedger
from workers.paths import is_there
from workers.settings import Settings


class RunsSettings(Settings):
    """Says which runs the ledger of `--state-dir` has; or forgets one, so that the next has room.

    What was paid for is no run's and stays: a run that is forgotten can be had again for nothing,
    as long as its pictures are there. Its folder with the results stays as well.

    example:
      cartext runs --state-dir /var/lib/cartext
      cartext runs --state-dir /var/lib/cartext --forget 2026-05-01
    """

    bucket: str = Field("", description="not needed here")
    queue_url: str = Field("", description="not needed here")
    forget: str = Field("", description="name of the run to be forgotten; its workers are stopped")


SETTINGS = RunsSettings


def run(settings: RunsSettings) -> None:
    """Prints the runs, or what was forgotten; RunError when that cannot be."""
    path = settings.ledger_file
    if not path:
        raise RunError(
            f"the runs of a table ({settings.ledger_url}) are neither listed nor forgotten: it "
            "does not fill up, and to delete a run costs as much as it cost to write"
        )
    if not is_there(path):
        raise no_ledger(settings)
    text = _forgotten(settings, path) if settings.forget else _listed(path)
    print(text)  # noqa: T201 - what the command is for


def _listed(path: Path) -> str:
    head = ("run", "looked at", "sent", "read", "")
    with closing(SqliteLedger(path, read_only=True)) as ledger:
        rows = [_row(ledger, run) for run in ledger.runs()]
    return table([head, *rows], right=(1, 2, 3)) if rows else "no run yet"


def _row(ledger: SqliteLedger, run: str) -> tuple[str, ...]:
    labels, texts = ledger.label_counts(run), ledger.progress(run)
    is_done = ledger.run_end(run) or finished(texts)
    counts = (labels.decided, labels.labelled, texts.done)
    return run, *(f"{count:,}" for count in counts), "" if is_done else "not finished"


def _forgotten(settings: RunsSettings, path: Path) -> str:
    run, state_dir = settings.forget, settings.state_dir
    with (
        alone(state_dir, "label"),
        alone(state_dir, "text"),
        closing(SqliteLedger(path)) as ledger,
    ):
        if run not in (runs := ledger.runs()):
            return f"there is no run {run!r}, only: {', '.join(runs) or 'none'}"
        decided, done = ledger.label_counts(run).decided, ledger.progress(run).done
        ledger.forget(run)
    return f"run {run!r} is forgotten: {decided:,} images looked at, {done:,} read"
