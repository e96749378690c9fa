"""Rekognition's DetectLabels and DetectText, answered by looking at the image.

They take what the real operations take and refuse what those refuse, with the same errors.
`knobs` makes them slow, scarce or unreliable; `counts()` tells what was answered, and for which
images an answer was paid for.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import BaseResponse

from sandbox.aws.rekognition import traffic
from sandbox.aws.rekognition.images import picture_of
from sandbox.aws.rekognition.labels import detect_labels
from sandbox.aws.rekognition.refusals import Refusal
from sandbox.aws.rekognition.requests import read_request
from sandbox.aws.rekognition.text import detect_text
from sandbox.aws.rekognition.traffic import Knobs, counts, knobs, reset_counts

__all__ = ["Knobs", "answer", "counts", "knobs", "reset_counts"]

OPERATIONS = {"DetectLabels": detect_labels, "DetectText": detect_text}


def answer(operation: str, response: BaseResponse) -> TYPE_RESPONSE:
    """Answers the request that moto has taken in; a refusal is an answer, too."""
    try:
        traffic.hold_quota(operation)
        with traffic.latency():
            status, body = 200, _paid_answer(operation, response)
    except Refusal as refusal:
        status, body = refusal.status, refusal.body
    headers = {"status": str(status), "Content-Type": "application/x-amz-json-1.1"}
    return status, headers, json.dumps(body)


def _paid_answer(operation: str, response: BaseResponse) -> dict[str, Any]:
    try:
        traffic.fail_sometimes()
        request = read_request(operation, response.body)
        picture = picture_of(operation, response, request["Image"])
        body = OPERATIONS[operation](picture, request)
    except Refusal:
        traffic.count(operation, None)
        raise
    traffic.count(operation, picture.name)
    return body
