"""Reads a request and holds it against botocore's own description of the service."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from moto.core.utils import get_service_model

from sandbox.aws.rekognition.refusals import Refusal, invalid_format

Shape = Any  # botocore's shapes have attributes by their kind


def read_request(operation: str, body: str) -> dict[str, Any]:
    """The members of a request's JSON body. Raises Refusal where the real service refuses."""
    shape = get_service_model("rekognition").operation_model(operation).input_shape
    try:
        sent = json.loads(body or "{}")
    except ValueError:
        raise Refusal("SerializationException", "Request is not JSON") from None
    request: dict[str, Any] = _read(sent, shape)
    if faults := list(_faults(request, shape, "")):
        count = f"{len(faults)} validation error{'s'[: len(faults) > 1]} detected: "
        raise Refusal("ValidationException", count + "; ".join(faults))
    return request


def _read(value: Any, shape: Shape) -> Any:
    """Turns JSON into what `shape` says that it is; null members are left out, as if not sent."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _read(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_read(item, shape.member) for item in value]
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise invalid_format("Invalid image encoding") from None
    kinds = {"string": str, "float": int | float, "integer": int}
    if isinstance(value, kinds.get(shape.type_name, ())) and not isinstance(value, bool):
        return value
    raise Refusal(
        "SerializationException",
        f"{type(value).__name__} can not be converted to a {shape.type_name}",
    )


def _faults(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Says, in the words of the real service, where `value` breaks what `shape` asks for."""
    for rule in _broken_rules(value, shape):
        shown = str(value)
        if isinstance(value, bytes):
            shown = f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
        yield f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {rule}"
    if shape.type_name == "list":
        for number, item in enumerate(value, start=1):
            yield from _faults(item, shape.member, f"{path}.{number}.member")
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            where = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
            if name in value:
                yield from _faults(value[name], member, where)
            elif name in shape.required_members:
                yield (
                    f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
                )


def _broken_rules(value: Any, shape: Shape) -> Iterator[str]:
    rules = shape.metadata
    sized = shape.type_name in ("string", "blob", "list")
    size, what = (len(value), "length") if sized else (value, "value")
    if "min" in rules and size < rules["min"]:
        yield f"have {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"have {what} less than or equal to {rules['max']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"satisfy enum value set: [{', '.join(rules['enum'])}]"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"satisfy regular expression pattern: {rules['pattern']}"
