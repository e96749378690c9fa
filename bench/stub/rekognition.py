"""DetectLabels and DetectText: an answer after a while, and no more of them than the quota."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from time import time
from typing import Any

from bench.stub.http import TRACE, Request, Respond
from bench.stub.s3 import key_in
from bench.stub.scenario import Scenario, vary

# the quota's bucket holds so much; a fuller one would forgive more
BURST_SECONDS = 0.5
REFUSAL = json.dumps(
    {
        "__type": "ProvisionedThroughputExceededException",
        "Code": "ProvisionedThroughputExceededException",
        "Message": "Provisioned rate exceeded",
    }
).encode()
HEADERS = "Content-Type: application/x-amz-json-1.1\r\n" + TRACE
FILTER = b'"LabelInclusionFilters"'


class Operation:
    """One operation's quota, and what it has done."""

    def __init__(self, quota: float) -> None:
        self._quota = quota
        self._most = max(1.0, quota * BURST_SECONDS)
        self._tokens, self._filled = self._most, time()
        self.taken: list[float] = []
        """When each call was let in."""
        self.throttled = 0
        self.paid: Counter[str] = Counter()
        """Good answers by image."""
        self.answered: dict[str, float] = {}
        """When each image had its answer."""

    def lets_in(self) -> bool:
        """Takes a call out of the quota, if it has one."""
        now = time()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._quota)
        self._filled = now
        if self._tokens < 1:
            self.throttled += 1
            return False
        self._tokens -= 1
        self.taken.append(now)
        return True


class Rekognition:
    """The two operations."""

    def __init__(self, scenario: Scenario, counts: dict[str, int]) -> None:
        self._scenario = scenario
        self._counts = counts
        self.operations = {
            name: Operation(scenario.quota) for name in ("DetectLabels", "DetectText")
        }

    def handle(self, request: Request, respond: Respond, name: str) -> None:
        """Answers a Rekognition call (AWS JSON 1.1)."""
        self._counts[f"Rekognition {name}"] += 1
        operation = self.operations[name]
        if not operation.lets_in():
            respond(REFUSAL, 400, headers=HEADERS)
            return
        after = vary(self._scenario.rekognition_seconds, self._scenario.jitter)
        key = _key(request.body)
        operation.paid[key] += 1
        operation.answered[key] = time() + after
        if name == "DetectText":
            reply = _text(key)
        else:
            reply = labels_reply(has_car(key, self._scenario.cars), _wanted(request.body))
        respond(reply, after=after, headers=HEADERS)


def has_car(key: str, share: float) -> bool:
    """Whether an image is one of the share that has a car."""
    return zlib.crc32(b"car" + key.encode()) < share * 2**32


def _wanted(body: bytes) -> tuple[str, ...]:
    """The labels that a request has a filter for."""
    if FILTER not in body:
        return ()
    filters = json.loads(body)["Settings"]["GeneralLabels"]
    return tuple(filters["LabelInclusionFilters"])


def _key(body: bytes) -> str:
    # of an image in the request only its last bytes are decoded
    name_at = body.find(b'"Bytes"', 0, 100)
    if name_at >= 0:
        end = body.index(b'"', body.index(b'"', name_at + 7) + 1)
        return key_in(base64.b64decode(body[end - 400 : end]))
    name: str = json.loads(body)["Image"]["S3Object"]["Name"]
    return name


def _label(name: str, number: int, parents: Sequence[str], instances: int) -> dict[str, Any]:
    """A label as the service sends it, the `number`-th surest."""
    confidence = 98.7654321 - number * 1.7283951
    return {
        "Name": name,
        "Confidence": confidence,
        "Instances": [
            {
                "BoundingBox": {"Width": 0.5, "Height": 0.25, "Left": left, "Top": 0.4},
                "Confidence": confidence,
            }
            for left in (0.1234567, 0.2345678, 0.3456789)[:instances]
        ],
        "Parents": [{"Name": parent} for parent in parents],
        "Aliases": [{"Name": f"{name} as Others Call It"}] if number % 3 == 0 else [],
        "Categories": [{"Name": "Vehicles and Automotive"}],
    }


# what a street gets: with a car, 25 labels
ON_A_STREET = (
    *("Vehicle", "Transportation", "Machine", "Wheel", "License Plate", "Tire", "Road", "Street"),
    *("City", "Urban", "Person", "Building", "Town", "Car Wheel", "Tree", "Alloy Wheel", "Sedan"),
    *("Spoke", "Plant", "Neighborhood", "Architecture", "Asphalt", "Outdoors", "Parking Lot"),
)
STREET = [
    _label(name, number, ON_A_STREET[: number % 3], number % 2)
    for number, name in enumerate(ON_A_STREET, start=1)
]
CAR = _label("Car", 0, ("Transportation", "Vehicle"), 3)


@cache
def labels_reply(has_car: bool, wanted: tuple[str, ...] = ()) -> bytes:
    """The answer; of no label that is not `wanted`, where some are."""
    found = [label for label in [CAR] * has_car + STREET if not wanted or label["Name"] in wanted]
    return json.dumps({"Labels": found, "LabelModelVersion": "3.0"}).encode()


def _detection(number: int, kind: str, text: str) -> dict[str, Any]:
    box = {"Width": 0.123456789, "Height": 0.0456789, "Left": 0.3456789, "Top": 0.6789}
    polygon = [{"X": x, "Y": y} for x in (0.3456789, 0.4691358) for y in (0.6789, 0.7245789)]
    return {
        "DetectedText": text,
        "Type": kind,
        "Id": number,
        "Confidence": 97.1234567,
        "Geometry": {"BoundingBox": box, "Polygon": polygon},
    }


def _text(key: str) -> bytes:
    """Two lines, of which one is the image's name, and their three words."""
    lines = [_detection(number, "LINE", text) for number, text in enumerate((key, "AB 123"))]
    words = [
        {**_detection(number, "WORD", text), "ParentId": parent}
        for number, parent, text in ((2, 0, key), (3, 1, "AB"), (4, 1, "123"))
    ]
    return json.dumps({"TextDetections": lines + words, "TextModelVersion": "3.0"}).encode()
