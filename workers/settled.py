"""A run is one question: what it was begun with stays, whoever starts a worker of it again."""

from __future__ import annotations

from pathlib import Path

from workers.errors import RunError
from workers.images.keys import digest
from workers.ledger import Ledger
from workers.settings import Settings

OF_LABELS = ("bucket", "label", "min_confidence", "prefix", "keys")
OF_TEXT = ("bucket", "text_confidence", "text_pattern", "text_on")


def settle(ledger: Ledger, settings: Settings, names: tuple[str, ...]) -> None:
    """Keeps these settings of a new run; raises RunError where it was begun with others."""
    wanted = _wanted(settings, names)
    ledger.settle(settings.run, wanted).result()
    _refuse_others(ledger, settings.run, wanted)


def check(ledger: Ledger, settings: Settings, names: tuple[str, ...]) -> None:
    """Raises RunError where the run was begun with others of these settings."""
    _refuse_others(ledger, settings.run, _wanted(settings, names))


def refuse_shards(ledger: Ledger, run: str) -> None:
    """Raises RunError where the version before has divided the run into shards."""
    shards = ledger.settled(run).get("shards", "1")
    if shards != "1":
        raise RunError(
            f"run {run!r} was begun by the version before, in {shards} shards; give CARTEXT_RUN a "
            "new name: what is known by now costs nothing once more"
        )


def _refuse_others(ledger: Ledger, run: str, wanted: dict[str, str]) -> None:
    settled = ledger.settled(run)
    for name, value in wanted.items():
        begun = settled.get(name, value)
        if begun != value:
            setting = f"CARTEXT_{name.upper()}"
            raise RunError(
                f"run {run!r} was begun with {setting}={begun}, not {value}; set "
                "that again, or give CARTEXT_RUN a new name: what is known by now costs nothing "
                "once more"
            )


def _wanted(settings: Settings, names: tuple[str, ...]) -> dict[str, str]:
    return {name: _as_text(getattr(settings, name)) for name in names}


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case tuple():
            return ",".join(value)
        case Path():
            # a file is what is in it
            return digest(value)
        case _:
            return str(value)
