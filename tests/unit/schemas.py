"""What commands print for programs, held to the schemas in docs/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

DOCS = Path(__file__).parents[2] / "docs"


def read_json(command: str, printed: str) -> Any:
    """What `--json` has printed, once it is as its schema says and has no field beside that."""
    schema = json.loads((DOCS / f"{command}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    value = json.loads(printed)
    jsonschema.validate(value, _closed(schema))
    return value


def _closed(schema: Any) -> Any:
    """The schema, which refuses a field that it does not name."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed["additionalProperties"] = False
    return closed
