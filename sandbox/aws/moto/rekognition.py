"""Rekognition: constant answers give way to those of one that looks."""

from __future__ import annotations

from moto.core.common_types import TYPE_RESPONSE
from moto.rekognition.responses import RekognitionResponse

from sandbox.aws.moto.patch import Before, replaces
from sandbox.aws.rekognition import service


# Whatever the image, the labels and the text are always the same.
@replaces(RekognitionResponse, "detect_labels")
def _detect_labels(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return service.answer("DetectLabels", response)


@replaces(RekognitionResponse, "detect_text")
def _detect_text(response: RekognitionResponse, _: Before) -> TYPE_RESPONSE:
    return service.answer("DetectText", response)
