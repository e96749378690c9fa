"""Makes docs/settings.md from the settings class: `python -m tests.docs.settings_table`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from workers.settings import Settings

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

HEAD = """\
# Settings

Each is a flag of `cartext`, an environment variable, or a line in a file `cartext.env` of the
working folder; the first of these that has a value wins. Region, login and endpoint are the AWS
SDK's own (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` …). This page is made by `make docs`.

| flag | variable | default | what |
| --- | --- | --- | --- |
"""


def text() -> str:
    """The page as it must be."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: Any) -> str:
    if field.default_factory:
        default = "the host's name"
    elif field.default is PydanticUndefined:
        default = "**required**"
    else:
        value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "" if value in (None, "") else f"`{value}`"
    flag = name.replace("_", "-")
    return f"| `--{flag}` | `CARTEXT_{name.upper()}` | {default} | {field.description} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text())
