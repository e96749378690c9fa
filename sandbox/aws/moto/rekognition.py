"""Rekognition: constant answers give way to those of one that looks."""

from __future__ import annotations

import json
import re
from xml.sax.saxutils import unescape

from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import InvalidClientTokenIdError, SignatureDoesNotMatchError
from moto.iam.access_control import IAMRequest
from moto.rekognition.responses import RekognitionResponse
from werkzeug.exceptions import HTTPException

from sandbox.aws.moto.patch import Before, replaces
from sandbox.aws.rekognition import service
from sandbox.aws.rekognition.refusals import Refusal

IAM_CODES: dict[type[HTTPException], str] = {
    InvalidClientTokenIdError: "UnrecognizedClientException",
    SignatureDoesNotMatchError: "InvalidSignatureException",
}


# Whatever the image, the labels and the text are always the same.
@replaces(RekognitionResponse, "detect_labels")
def _detect_labels(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return service.answer("DetectLabels", response)


@replaces(RekognitionResponse, "detect_text")
def _detect_text(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return service.answer("DetectText", response)


@replaces(RekognitionResponse, "_authenticate_and_authorize_normal_action")
def _refuse_in_json(response: RekognitionResponse, _: Before, resource: str = "*") -> None:
    # IAM's verdict is said in XML, which no client of Rekognition reads.
    try:
        response._authenticate_and_authorize_action(IAMRequest, resource)
    except HTTPException as error:
        code = IAM_CODES.get(type(error), "AccessDeniedException")
        text = re.search("<Message>(.*)</Message>", error.description or "")
        refusal = Refusal(code, unescape(text[1]) if text else code)
        error.code, error.description = refusal.status, json.dumps(refusal.body)
        raise
