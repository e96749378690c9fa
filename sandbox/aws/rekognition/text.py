"""DetectText: the lines that an image has, and their words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.aws.rekognition import eyes
from sandbox.aws.rekognition.eyes.pixels import Box
from sandbox.aws.rekognition.eyes.reader import Line, Word
from sandbox.aws.rekognition.images import Picture
from sandbox.aws.rekognition.refusals import invalid_parameters

MAX_WORDS = 100

Json = dict[str, Any]


def detect_text(picture: Picture, request: Json) -> Json:
    """The answer to a request. Raises Refusal."""
    wanted = _word_filter(request.get("Filters", {}))
    lines: list[tuple[Line, list[Word]]] = []
    left = MAX_WORDS
    for line in picture.look(eyes.text_lines):
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


def _word_filter(filters: Json) -> Callable[[Word], bool]:
    least = filters.get("WordFilter", {})
    regions = [_region(region) for region in filters.get("RegionsOfInterest", ())]

    def wanted(word: Word) -> bool:
        box = Box.around(word.polygon)
        x, y = box.left + box.width / 2, box.top + box.height / 2
        return (
            word.confidence >= least.get("MinConfidence", 0)
            and box.width >= least.get("MinBoundingBoxWidth", 0)
            and box.height >= least.get("MinBoundingBoxHeight", 0)
            and (not regions or any(region.holds(x, y) for region in regions))
        )

    return wanted


def _region(region: Json) -> Box:
    if "Polygon" in region:
        return Box.around([(point["X"], point["Y"]) for point in region["Polygon"]])
    box = region.get("BoundingBox", {})
    sides = (box.get(side) for side in ("Left", "Top", "Width", "Height"))
    try:
        return Box(*(float(side) for side in sides))
    except TypeError:
        raise invalid_parameters() from None


def _detection(kind: str, number: int, text: Word) -> Json:
    return {
        "DetectedText": text.text,
        "Type": kind,
        "Id": number,
        "Confidence": text.confidence,
        "Geometry": {
            "BoundingBox": Box.around(text.polygon).as_json(),
            "Polygon": [{"X": x, "Y": y} for x, y in text.polygon],
        },
    }
