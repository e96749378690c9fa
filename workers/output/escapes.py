"""Texts of anybody's, written so that they change nothing but their own place in a line."""

from __future__ import annotations

import json
import re
from typing import Any

# what moves a cursor, ends a line for many a reader, turns the direction of writing, or has no
# UTF-8: controls but those that JSON escapes by itself, separators, bidi controls, half surrogates
UNSEEN = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0001-\U000e007f]"
)
UNSEEN_OR_BACKSLASH = re.compile(f"[\\\\\x00-\x1f{UNSEEN.pattern[1:]}")
HARMFUL = re.compile(f"[\x00-\x09\x0b-\x1f{UNSEEN.pattern[1:]}")

_encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode


def visible(text: str) -> str:
    """The text with such characters as escapes; a backslash is doubled."""
    return UNSEEN_OR_BACKSLASH.sub(_escape_of_python, text)


def harmless(text: str) -> str:
    """Lines for a person, which no terminal takes for anything else; not to be read back."""
    return HARMFUL.sub(_escape_of_python, text)


def json_line(value: Any) -> str:
    """The value as JSON in one line, with such characters as JSON's own escapes."""
    return UNSEEN.sub(_escape, _encode(value))


def _escape_of_python(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
