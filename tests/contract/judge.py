"""botocore's models of the services as a judge: of what the workers ask, of what is answered."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.model import OperationModel
from botocore.validate import ParamValidator

KINDS: dict[str, tuple[type, ...]] = {
    "blob": (bytes, bytearray),
    "boolean": (bool,),
    "double": (float, int),
    "float": (float, int),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (dict,),
    "string": (str,),
    "structure": (dict,),
    "timestamp": (datetime, str, int, float),
}
# what a service answers though no model names it: https://docs.aws.amazon.com/AmazonS3/latest/API/
# ErrorResponses.html, and CommonErrors.html in each other service's API reference
EVERYBODYS = {
    "AccessDeniedException",
    "InvalidSignatureException",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationException",
}
UNMODELED = {
    "dynamodb": EVERYBODYS,
    "rekognition": EVERYBODYS,
    "s3": {"AccessDenied", "InvalidRange", "NoSuchBucket", "NoSuchVersion", "PreconditionFailed"},
    # the models of its batches lack what their pages have, all lack what is out of range
    "sqs": EVERYBODYS | {"AWS.SimpleQueueService.NonExistentQueue", "InvalidParameterValue"},
}
# where AWS documents, or answers, something else than its model says
DOCUMENTED = {
    # "If there are no unprocessed keys remaining, the response contains an empty UnprocessedKeys
    # map": the model's least is the request's
    "dynamodb BatchGetItem: the answer's UnprocessedKeys is 0 long, not 1 to 100",
    # the examples of CreateTable's own page have 0
    "dynamodb CreateTable: the answer's TableDescription's ProvisionedThroughput's "
    "NumberOfDecreasesToday is 0, not 1 to inf",
    # ministack alone: AWS documents 12,000 reads and 4,000 writes for a new table on demand
    *(
        f"dynamodb CreateTable: the answer's TableDescription's WarmThroughput's {units} is 0, "
        "not 1 to inf"
        for units in ("ReadUnitsPerSecond", "WriteUnitsPerSecond")
    ),
}
TOLD_TO = "the sandbox was told to answer"


class Judge:
    """Watches clients; `problems` is what does not fit, `seen` the operations and error codes."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.seen: set[str] = set()

    def watch(self, client: Any, requests: bool = True) -> None:
        """Judges what this client asks (unless not `requests`) and what it is answered."""
        if client.meta.service_model.service_name not in UNMODELED:
            return
        if requests:
            client.meta.events.register_first("provide-client-params", self._asked)
        client.meta.events.register("after-call", self._answered)

    def _asked(self, params: dict[str, Any], model: OperationModel, **_: Any) -> None:
        shape = model.input_shape
        found = [ParamValidator().validate(params, shape).generate_report()]
        self._tell(model, [*filter(None, found), *violations(params, shape, "the request")])

    def _answered(self, http_response: Any, parsed: Any, model: OperationModel, **_: Any) -> None:
        self.seen.add(model.name)
        if http_response.status_code >= 300:
            self._tell(model, self._error(http_response, parsed, model))
            return
        answer = {k: v for k, v in parsed.items() if k != "ResponseMetadata"}
        shape = model.output_shape
        found = [*violations(answer, shape, "the answer")] if shape else []
        if model.service_model.metadata["protocol"] == "json" and shape:
            found += unknown_members(json.loads(http_response.content or b"{}"), shape)
        self._tell(model, found)

    def _error(self, http_response: Any, parsed: Any, model: OperationModel) -> Iterator[str]:
        code, message = parsed["Error"].get("Code", ""), parsed["Error"].get("Message", "")
        if message.startswith(TOLD_TO) or model.name.startswith("Head"):
            return
        self.seen.add(code)
        modeled = {s.metadata.get("error", {}).get("code", s.name): s for s in model.error_shapes}
        modeled |= {shape.name: shape for shape in model.error_shapes}
        if code in modeled:
            due = modeled[code].metadata.get("error", {}).get("httpStatusCode")
            if due and due != http_response.status_code:
                yield f"{code} comes with {http_response.status_code}, not {due}"
        elif code not in UNMODELED[model.service_model.service_name]:
            yield f"{code!r} is no error of it"
        if not message:
            yield f"{code} says nothing"

    def _tell(self, model: OperationModel, found: Any) -> None:
        told = {f"{model.service_model.service_name} {model.name}: {what}" for what in found}
        self.problems += sorted(told - DOCUMENTED)


def violations(value: Any, shape: Any, where: str) -> Iterator[str]:
    """What of a value does not fit its shape: types, enums, patterns, lengths, required members."""
    kind, rules = shape.type_name, shape.metadata
    if hasattr(value, "read") and kind == "blob":
        return
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where} is {type(value).__name__}, not {kind}"
        return
    yield from _beyond_limits(value, kind, rules, where)
    for name in set(rules.get("required", [])) - value.keys() if kind == "structure" else ():
        yield f"{where} has no {name}"
    for name, member, of in _members(value, shape):
        if of is None:
            yield f"{where} has {name}, which is unknown"
        else:
            yield from violations(member, of, f"{where}'s {name}")


def _beyond_limits(value: Any, kind: str, rules: dict[str, Any], where: str) -> Iterator[str]:
    if kind in {"boolean", "structure", "timestamp"}:
        return
    sized = kind in {"string", "blob", "list", "map"}
    size = len(value) if sized else value
    least, most = rules.get("min", -math.inf), rules.get("max", math.inf)
    if not least <= size <= most:
        yield f"{where} is {size}{' long' if sized else ''}, not {least} to {most}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"{where} is {value!r}, none of {rules['enum']}"
    if "pattern" in rules and not re.search(rules["pattern"], value):
        yield f"{where} is {value!r}, not like {rules['pattern']}"


def _members(value: Any, shape: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and shape of each part of a value."""
    match shape.type_name:
        case "structure":
            yield from ((name, part, shape.members.get(name)) for name, part in value.items())
        case "list":
            yield from (("item", part, shape.member) for part in value)
        case "map":
            yield from (("key", name, shape.key) for name in value)
            yield from ((name, part, shape.value) for name, part in value.items())


def unknown_members(raw: Any, shape: Any) -> Iterator[str]:
    """Members of a JSON answer that its shape does not have, which a parser passes over."""
    if shape.type_name == "structure" and isinstance(raw, dict):
        names = {m.serialization.get("name", name): m for name, m in shape.members.items()}
        for name, member in raw.items():
            if name in names:
                yield from unknown_members(member, names[name])
            else:
                yield f"the answer has {name}, which is unknown"
    elif shape.type_name == "list":
        for member in raw or []:
            yield from unknown_members(member, shape.member)
    elif shape.type_name == "map":
        for member in (raw or {}).values():
            yield from unknown_members(member, shape.value)
