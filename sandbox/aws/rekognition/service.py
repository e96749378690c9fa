"""Rekognition's DetectLabels and DetectText, answered by looking at the image.

They take what the real operations take and refuse what those refuse, with the same errors. There
are two doors to them: moto's, in the sandbox, and a port of their own before anybody's S3.
`knobs` makes them slow, scarce or unreliable; `counts()` tells what was answered, and for which
images an answer was paid for.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.rekognition import traffic
from sandbox.aws.rekognition.images import ReadObject, picture_of
from sandbox.aws.rekognition.labels import detect_labels
from sandbox.aws.rekognition.refusals import Refusal
from sandbox.aws.rekognition.requests import read_request
from sandbox.aws.rekognition.text import detect_text
from sandbox.aws.rekognition.traffic import Knobs, counts, knobs, reset_counts

__all__ = ["Knobs", "answer", "counts", "knobs", "reset_counts"]

CONTENT_TYPE = "application/x-amz-json-1.1"
OPERATIONS = {"DetectLabels": detect_labels, "DetectText": detect_text}


def answer(operation: str, body: str, read_object: ReadObject) -> tuple[int, str]:
    """The status and the body that answer a request's body; a refusal is an answer, too."""
    try:
        traffic.hold_quota(operation)
        with traffic.latency():
            status, said = 200, _paid_answer(operation, body, read_object)
    except Refusal as refusal:
        status, said = refusal.status, refusal.body
    return status, json.dumps(said)


def _paid_answer(operation: str, body: str, read_object: ReadObject) -> dict[str, Any]:
    try:
        traffic.fail_sometimes()
        request = read_request(operation, body)
        picture = picture_of(operation, request["Image"], read_object)
        said = OPERATIONS[operation](picture, request)
    except Refusal:
        traffic.count(operation, None)
        raise
    traffic.count(operation, picture.name)
    return said
