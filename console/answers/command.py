"""`cartext answers`: how many there are, and carrying them from one ledger to another."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from pydantic import Field

from console.answers.transfer import count, export_to, import_from, name
from console.services import ledger_if_any, no_ledger
from console.words import bytes_text, table
from console.written import STREAM
from workers.errors import RunError
from workers.ledger import Ledger, open_ledger
from workers.settings import Settings

NOTES = {
    "labels": "what pictures show",
    "text": "the lines of text on them",
    "handed": "pictures handed to a text worker, whose ledger has their text",
}


class AnswersSettings(Settings):
    """Says how many answers are kept, of which kind, how large; or carries them.

    A file has one answer a line, in JSON; one that is named *.gz is compressed, and - is standard
    input or output. What a ledger has already stays; of a file with a broken line nothing is kept.

    example:
      cartext answers --state-dir /var/lib/cartext
      cartext answers --ledger sqlite:///old.sqlite3 --export answers.jsonl.gz
      cartext answers --ledger dynamodb://cartext-ledger --import answers.jsonl.gz
    """

    bucket: str = Field("", description="not needed here")
    queue_url: str = Field("", description="not needed here")
    export: Path | None = Field(None, description="file to write all answers into")
    import_: Path | None = Field(
        None, validation_alias="import", description="file whose answers are to be kept"
    )
    as_json: bool = Field(False, validation_alias="json", description="print JSON")


SETTINGS = AnswersSettings


def run(settings: AnswersSettings) -> None:
    """Prints what there is or what was carried; RunError when the ledger or a file is wrong."""
    if settings.export and settings.import_:
        raise RunError("one at a time: give --export or --import")
    if settings.import_:
        _import(settings, settings.import_)
        return
    with ledger_if_any(settings) as ledger:
        if ledger is None:
            raise no_ledger(settings)
        if settings.export:
            _export(settings, settings.export, ledger)
        else:
            _show(settings, ledger)


def _import(settings: AnswersSettings, path: Path) -> None:
    with closing(open_ledger(settings)) as ledger:
        imported = import_from(path, ledger)
    text = f"{imported.new:,} answers imported, of {imported.of:,} in {name(path)}"
    _say(settings, text, {"schema": 1, **asdict(imported)})


def _export(settings: AnswersSettings, path: Path, ledger: Ledger) -> None:
    exported = export_to(path, ledger)
    # where the answers themselves are printed, they are all that is
    out = sys.stderr if path == STREAM else sys.stdout
    plain = {"schema": 1, "exported": exported}
    _say(settings, f"{exported:,} answers exported", plain, out)


def _show(settings: AnswersSettings, ledger: Ledger) -> None:
    kept = count(ledger)
    rows = [
        (kind, f"{each.count:,}", bytes_text(each.bytes), NOTES[kind])
        for kind, each in kept.items()
    ]
    answers = {kind: asdict(each) for kind, each in kept.items()}
    _say(
        settings,
        f"{settings.ledger_url}\n\n{table(rows, right=(1, 2))}",
        {"schema": 1, "ledger": settings.ledger_url, "answers": answers},
    )


def _say(settings: AnswersSettings, text: str, plain: object, out: TextIO | None = None) -> None:
    print(json.dumps(plain) if settings.as_json else text, file=out)
