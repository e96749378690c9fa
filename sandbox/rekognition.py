"""Rekognition's DetectLabels and DetectText for moto, answered by looking at the image.

`install()` puts them in the place of moto's constant answers. They take what the real operations
take and refuse what those refuse, with the same errors. `knobs` makes them slow, scarce or
unreliable; `counts()` tells what was answered, and for which images an answer was paid for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.sax.saxutils import unescape

from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import (
    AccessDeniedError,
    InvalidClientTokenIdError,
    SignatureDoesNotMatchError,
)
from moto.core.utils import get_service_model
from moto.iam.access_control import IAMRequest
from moto.rekognition.responses import RekognitionResponse
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeKey, s3_backends
from moto.utilities.utils import get_partition
from werkzeug.exceptions import HTTPException

from sandbox import eyes
from sandbox.model import SandboxError

MOST_OBJECT_BYTES = 15 * 1024 * 1024
LEAST_SIDE, MOST_SIDE = 80, 10_000
MIN_CONFIDENCE, MAX_LABELS = 55.0, 1000
MAX_WORDS = 100

Json = dict[str, Any]
Shape = Any  # botocore's shapes have attributes by their kind
T = TypeVar("T")


def install() -> None:
    """Makes moto answer DetectLabels and DetectText by looking; doing it again changes nothing."""
    setattr(RekognitionResponse, "detect_labels", _operation("DetectLabels", _detect_labels))  # noqa: B010
    setattr(RekognitionResponse, "detect_text", _operation("DetectText", _detect_text))  # noqa: B010
    setattr(RekognitionResponse, "_authenticate_and_authorize_normal_action", _authorize)  # noqa: B010


# --- knobs and counts --------------------------------------------------------------------------


@dataclass
class Knobs:
    """How the two operations behave; every field may be changed while the sandbox serves."""

    latency_seconds: float = 0.0
    """How long an answer takes at least; throttled calls are answered at once."""
    latency_jitter: float = 0.0
    """How much the latency varies, as a share of it: 0.2 is plus or minus 20 %."""
    calls_per_second: float | None = None
    """The quota of each operation for itself; None is no quota."""
    failure_rate: float = 0.0
    """The share of calls (0-1) that end in InternalServerError."""


knobs = Knobs()


@dataclass
class _Meter:
    """One operation's quota and its counts."""

    tokens: float | None = None
    filled_at: float = 0.0
    good: int = 0
    throttled: int = 0
    failed: int = 0
    paid: Counter[str] = field(default_factory=Counter)

    def has_quota(self, rate: float | None, now: float) -> bool:
        """Takes one call out of the quota, which holds at most one second's worth of calls."""
        if rate is None:
            self.tokens = None
            return True
        most = max(rate, 1.0)
        tokens = most if self.tokens is None else self.tokens + (now - self.filled_at) * rate
        self.tokens, self.filled_at = min(tokens, most), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


_lock = threading.Lock()
_meters: defaultdict[str, _Meter] = defaultdict(_Meter)


def counts() -> dict[str, dict[str, Any]]:
    """For each operation the calls that were `good`, `throttled` and `failed`, and `paid`.

    `paid` says how many good answers each image got, by its S3 key or, when it came as bytes, by
    the SHA-256 of those.
    """
    with _lock:
        return {
            operation: {
                "good": meter.good,
                "throttled": meter.throttled,
                "failed": meter.failed,
                "paid": dict(meter.paid),
            }
            for operation in ("DetectLabels", "DetectText")
            for meter in (_meters[operation],)
        }


def reset_counts() -> None:
    """Starts counting (and the quotas) anew."""
    with _lock:
        _meters.clear()


# --- one call ----------------------------------------------------------------------------------


class _Refusal(Exception):  # noqa: N818 - it is an answer
    """What the real service answers instead of a result."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> Json:
        return {"__type": self.code, "Code": self.code, "Message": self.message}


@dataclass(frozen=True)
class _Image:
    name: str
    data: bytes


Answer = Callable[[_Image, Json], Json]
Handler = Callable[[RekognitionResponse], TYPE_RESPONSE]


def _operation(name: str, answer: Answer) -> Handler:
    def handle(response: RekognitionResponse) -> TYPE_RESPONSE:
        try:
            _hold_quota(name)
            with _latency():
                status, body = 200, _answered(name, answer, response)
        except _Refusal as refusal:
            status, body = refusal.status, refusal.body
        headers = {"status": str(status), "Content-Type": "application/x-amz-json-1.1"}
        return status, headers, json.dumps(body)

    return handle


def _hold_quota(operation: str) -> None:
    with _lock:
        meter = _meters[operation]
        if meter.has_quota(knobs.calls_per_second, time.monotonic()):
            return
        meter.throttled += 1
    raise _Refusal("ProvisionedThroughputExceededException", "Provisioned rate exceeded")


def _authorize(response: RekognitionResponse, resource: str = "*") -> None:
    """Lets moto's IAM judge the caller, and says its verdict in JSON: moto says it in XML."""
    try:
        response._authenticate_and_authorize_action(IAMRequest, resource)
    except HTTPException as error:
        code = _IAM_CODES.get(type(error), "AccessDeniedException")
        text = re.search("<Message>(.*)</Message>", error.description or "")
        refusal = _Refusal(code, unescape(text[1]) if text else code)
        error.code, error.description = refusal.status, json.dumps(refusal.body)
        raise


_IAM_CODES: dict[type[HTTPException], str] = {
    InvalidClientTokenIdError: "UnrecognizedClientException",
    SignatureDoesNotMatchError: "InvalidSignatureException",
}


@contextmanager
def _latency() -> Iterator[None]:
    share = random.uniform(1 - knobs.latency_jitter, 1 + knobs.latency_jitter)
    ends = time.monotonic() + knobs.latency_seconds * share
    try:
        yield
    finally:
        time.sleep(max(0.0, ends - time.monotonic()))


def _answered(operation: str, answer: Answer, response: RekognitionResponse) -> Json:
    try:
        if random.random() < knobs.failure_rate:
            raise _internal_error()
        request = _request(operation, response.body)
        image = _image(response, request["Image"])
        _check_size(operation, image)
        body = answer(image, request)
    except _Refusal:
        with _lock:
            _meters[operation].failed += 1
        raise
    with _lock:
        _meters[operation].good += 1
        _meters[operation].paid[image.name] += 1
    return body


def _internal_error(message: str = "Internal server error") -> _Refusal:
    return _Refusal("InternalServerError", message, 500)


# --- the request -------------------------------------------------------------------------------


def _request(operation: str, body: str) -> Json:
    """Reads a request and holds it against botocore's own description of the service."""
    shape = get_service_model("rekognition").operation_model(operation).input_shape
    try:
        sent = json.loads(body or "{}")
    except ValueError:
        raise _Refusal("SerializationException", "Request is not JSON") from None
    request: Json = _read(sent, shape)
    if faults := list(_faults(request, shape, "")):
        count = f"{len(faults)} validation error{'s'[: len(faults) > 1]} detected: "
        raise _Refusal("ValidationException", count + "; ".join(faults))
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
            raise _Refusal("InvalidImageFormatException", "Invalid image encoding") from None
    kinds = {"string": str, "float": int | float, "integer": int}
    if isinstance(value, kinds.get(shape.type_name, ())) and not isinstance(value, bool):
        return value
    raise _Refusal(
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


# --- the image ---------------------------------------------------------------------------------


class _S3Read(IAMRequest):
    """Asks moto's IAM whether the caller of Rekognition may read an S3 object."""

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "s3:GetObject"


class _S3VersionRead(_S3Read):
    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "s3:GetObjectVersion"


def _image(response: RekognitionResponse, image: Json) -> _Image:
    if len(image) != 1:
        raise _invalid_parameters()
    if "Bytes" in image:
        return _Image(hashlib.sha256(image["Bytes"]).hexdigest(), image["Bytes"])
    stored = _stored_object(response, image["S3Object"])
    if stored.size > MOST_OBJECT_BYTES:
        raise _Refusal("ImageTooLargeException", "Image size is too large")
    return _Image(stored.name, stored.value)


def _stored_object(response: RekognitionResponse, where: Json) -> FakeKey:
    if not {"Bucket", "Name"} <= where.keys():
        raise _invalid_parameters()
    bucket, name, version = where["Bucket"], where["Name"], where.get("Version")
    partition = get_partition(response.region)
    unable = _Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. "
        "Check object key, region and/or access permissions.",
    )
    try:
        response._authenticate_and_authorize_action(
            _S3VersionRead if version else _S3Read, f"arn:{partition}:s3:::{bucket}/{name}"
        )
        s3 = s3_backends[response.current_account][partition]
        stored = s3.get_object(bucket, name, version)
        here = s3.get_bucket(bucket).region_name == response.region
    except (AccessDeniedError, S3ClientError) as error:
        raise unable from error
    if stored is None or not here:
        raise unable
    return stored


def _invalid_parameters() -> _Refusal:
    return _Refusal("InvalidParameterException", "Request has invalid parameters")


def _invalid_format() -> _Refusal:
    return _Refusal("InvalidImageFormatException", "Request has invalid image format")


def _check_size(operation: str, image: _Image) -> None:
    try:
        width, height = eyes.size(image.data)
    except eyes.UnreadableImageError as error:
        raise _invalid_format() from error
    if min(width, height) < LEAST_SIDE:
        raise _invalid_parameters()
    if operation == "DetectLabels" and max(width, height) > MOST_SIDE:
        raise _Refusal(
            "ImageTooLargeException",
            f"Input image dimensions {width} x {height} "
            f"exceed maximum dimension size of {MOST_SIDE} pixels",
        )


def _look(look: Callable[[bytes], T], image: _Image) -> T:
    try:
        return look(image.data)
    except eyes.UnreadableImageError as error:
        raise _invalid_format() from error
    except SandboxError as error:
        raise _internal_error(str(error)) from error


# --- labels ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """What Rekognition says about a label wherever it sees it."""

    category: str
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


_ANIMALS, _APPAREL = "Animals and Pets", "Apparel and Accessories"
_COMPUTING, _FOOD = "Technology and Computing", "Food and Beverage"
_FURNITURE, _VEHICLES = "Furniture and Furnishings", "Vehicles and Automotive"

_KINDS = {
    "Animal": _Kind(_ANIMALS),
    "Bicycle": _Kind(_VEHICLES, ("Transportation", "Vehicle"), ("Bike",)),
    "Book": _Kind("Education", ("Publication",)),
    "Boot": _Kind(_APPAREL, ("Clothing", "Footwear")),
    "Bottle": _Kind("Kitchen and Dining"),
    "Box": _Kind("Everyday Objects"),
    "Camera": _Kind(_COMPUTING, ("Electronics",)),
    "Canine": _Kind(_ANIMALS, ("Animal", "Mammal")),
    "Car": _Kind(_VEHICLES, ("Transportation", "Vehicle"), ("Automobile",)),
    "Cat": _Kind(_ANIMALS, ("Animal", "Mammal", "Pet")),
    "Cattle": _Kind(_ANIMALS, ("Animal", "Livestock", "Mammal")),
    "Chair": _Kind(_FURNITURE, ("Furniture",)),
    "Clothing": _Kind(_APPAREL, (), ("Apparel",)),
    "Coffee Cup": _Kind(_FOOD, ("Cup",)),
    "Computer": _Kind(_COMPUTING, ("Electronics",)),
    "Computer Hardware": _Kind(_COMPUTING, ("Electronics", "Hardware")),
    "Cup": _Kind(_FOOD),
    "Desk": _Kind(_FURNITURE, ("Furniture", "Table")),
    "Dog": _Kind(_ANIMALS, ("Animal", "Canine", "Mammal", "Pet"), ("Puppy",)),
    "Electronics": _Kind(_COMPUTING),
    "Exercise Bike": _Kind("Health and Fitness", ("Bicycle", "Transportation", "Vehicle")),
    "Footwear": _Kind(_APPAREL, ("Clothing",)),
    "Furniture": _Kind(_FURNITURE),
    "Hardware": _Kind(_COMPUTING, ("Electronics",)),
    "High Heel": _Kind(_APPAREL, ("Clothing", "Footwear", "Shoe")),
    "Laptop": _Kind(_COMPUTING, ("Computer", "Electronics", "Pc")),
    "Livestock": _Kind(_ANIMALS, ("Animal", "Mammal")),
    "Mammal": _Kind(_ANIMALS, ("Animal",)),
    "Monitor": _Kind(_COMPUTING, ("Computer Hardware", "Electronics", "Hardware", "Screen")),
    "Mouse": _Kind(_COMPUTING, ("Computer Hardware", "Electronics", "Hardware")),
    "Mug": _Kind(_FOOD, ("Cup",)),
    "Pc": _Kind(_COMPUTING, ("Computer", "Electronics")),
    "Person": _Kind("Person Description", (), ("Human",)),
    "Pet": _Kind(_ANIMALS, ("Animal",)),
    "Publication": _Kind("Education"),
    "Screen": _Kind(_COMPUTING, ("Electronics",)),
    "Shoe": _Kind(_APPAREL, ("Clothing", "Footwear")),
    "Table": _Kind(_FURNITURE, ("Furniture",)),
    "Transportation": _Kind(_VEHICLES),
    "Vehicle": _Kind(_VEHICLES, ("Transportation",)),
}

# what the model and Rekognition call by different names
_RENAMED = {
    "Coffee cup": "Coffee Cup",
    "Computer monitor": "Monitor",
    "Computer mouse": "Mouse",
    "High heels": "High Heel",
    "Stationary bicycle": "Exercise Bike",
}


def _detect_labels(image: _Image, request: Json) -> Json:
    if "IMAGE_PROPERTIES" in request.get("Features", ()):
        raise _Refusal("InvalidParameterException", "The sandbox has no IMAGE_PROPERTIES")
    least = request.get("MinConfidence", MIN_CONFIDENCE)
    wanted = _label_filter(request.get("Settings", {}).get("GeneralLabels", {}))
    seen: dict[str, list[eyes.Sighting]] = {}
    for sighting in _look(eyes.labels, image):
        if sighting.confidence >= least:
            name = _RENAMED.get(sighting.name, sighting.name)
            seen.setdefault(name, []).append(sighting)
            for parent in _KINDS[name].parents:
                seen.setdefault(parent, [])
    found = [_label(name, seen) for name in seen if wanted(name)]
    found.sort(key=lambda label: (-label["Confidence"], label["Name"]))
    labels = found[: request.get("MaxLabels", MAX_LABELS)]
    return {"Labels": labels, "LabelModelVersion": "3.0"}


def _label_filter(settings: Json) -> Callable[[str], bool]:
    labels, no_labels, categories, no_categories = (
        set(settings.get(f"Label{which}Filters", ()))
        for which in ("Inclusion", "Exclusion", "CategoryInclusion", "CategoryExclusion")
    )

    def wanted(name: str) -> bool:
        category = _KINDS[name].category
        included = name in labels or category in categories or not (labels or categories)
        return included and name not in no_labels and category not in no_categories

    return wanted


def _label(name: str, seen: dict[str, list[eyes.Sighting]]) -> Json:
    kind = _KINDS[name]
    # a parent is as sure as the surest of its children
    family = (name, *(child for child in seen if name in _KINDS[child].parents))
    return {
        "Name": name,
        "Confidence": max(sighting.confidence for one in family for sighting in seen[one]),
        "Instances": [
            {"BoundingBox": _bounding_box(sighting.box), "Confidence": sighting.confidence}
            for sighting in seen[name]
        ],
        "Parents": [{"Name": parent} for parent in kind.parents],
        "Aliases": [{"Name": alias} for alias in kind.aliases],
        "Categories": [{"Name": kind.category}],
    }


def _bounding_box(box: eyes.Box) -> Json:
    return {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}


# --- text --------------------------------------------------------------------------------------


def _detect_text(image: _Image, request: Json) -> Json:
    wanted = _word_filter(request.get("Filters", {}))
    lines: list[tuple[eyes.Line, list[eyes.Word]]] = []
    left = MAX_WORDS
    for line in _look(eyes.text_lines, image):
        words = [word for word in line.words if wanted(word)][:left]
        left -= len(words)
        if words:
            lines.append((line, words))
    parts = [(word, number) for number, (_, words) in enumerate(lines) for word in words]
    return {
        "TextDetections": [
            *(_detection("LINE", number, line) for number, (line, _) in enumerate(lines)),
            *(
                _detection("WORD", number, word) | {"ParentId": parent}
                for number, (word, parent) in enumerate(parts, start=len(lines))
            ),
        ],
        "TextModelVersion": "3.0",
    }


def _word_filter(filters: Json) -> Callable[[eyes.Word], bool]:
    least = filters.get("WordFilter", {})
    regions = [_region(region) for region in filters.get("RegionsOfInterest", ())]

    def wanted(word: eyes.Word) -> bool:
        box = _around(word.polygon)
        x, y = box.left + box.width / 2, box.top + box.height / 2
        return (
            word.confidence >= least.get("MinConfidence", 0)
            and box.width >= least.get("MinBoundingBoxWidth", 0)
            and box.height >= least.get("MinBoundingBoxHeight", 0)
            and (not regions or any(_holds(region, x, y) for region in regions))
        )

    return wanted


def _region(region: Json) -> eyes.Box:
    if "Polygon" in region:
        return _around([(point["X"], point["Y"]) for point in region["Polygon"]])
    box = region.get("BoundingBox", {})
    sides = (box.get(side) for side in ("Left", "Top", "Width", "Height"))
    try:
        return eyes.Box(*(float(side) for side in sides))
    except TypeError:
        raise _invalid_parameters() from None


def _holds(box: eyes.Box, x: float, y: float) -> bool:
    return box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height


def _around(polygon: Sequence[eyes.Point]) -> eyes.Box:
    xs, ys = zip(*polygon, strict=True)
    return eyes.Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _detection(kind: str, number: int, text: eyes.Word) -> Json:
    return {
        "DetectedText": text.text,
        "Type": kind,
        "Id": number,
        "Confidence": text.confidence,
        "Geometry": {
            "BoundingBox": _bounding_box(_around(text.polygon)),
            "Polygon": [{"X": x, "Y": y} for x, y in text.polygon],
        },
    }
