"""A line of a file that has one JSON object each: what is wrong with it is said to a person."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError


def json_object(line: bytes) -> dict[str, Any]:
    """The line's object; raises ValueError when it is none."""
    try:
        plain = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start + 1} ({error.reason})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON at character {error.colno} ({error.msg})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(plain, dict):
        raise ValueError("it is no JSON object")
    return plain


def first_problem(error: ValidationError, depth: int = 0) -> ValueError:
    """Which field is not as it must be, and why; the first `depth` steps to it are left out."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"][depth:]))
    return ValueError(f"{where}: {problem['msg']}")
