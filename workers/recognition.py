"""Rekognition's two operations, in the field's words, within the quota."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from workers.aws import Aws, code_of, error_message, is_throttled
from workers.errors import ImageError, RunError
from workers.images import MAX_LABEL_SIDE, Bucket, Content
from workers.quota import Quota
from workers.records import Box, Label, TextLine
from workers.settings import ImageSource, Settings
from workers.stop import Stop

if TYPE_CHECKING:
    from mypy_boto3_rekognition.type_defs import DetectLabelsResponseTypeDef, LabelTypeDef

T = TypeVar("T")

# what else the service may refuse, it would refuse for every image
ABOUT_THE_IMAGE = {
    "ImageTooLargeException",
    "InvalidImageFormatException",
    "InvalidParameterException",
    "ValidationException",
}

# https://aws.amazon.com/rekognition/pricing/, US East: up to so many images, dollars for 1,000
PRICE_TIERS = ((1_000_000, 1.00), (5_000_000, 0.80), (35_000_000, 0.60), (float("inf"), 0.25))


def dollars(calls: int) -> float:
    """What so many calls cost in a month that begins with them."""
    cost, below = 0.0, 0.0
    for upto, price in PRICE_TIERS:
        cost += max(0.0, min(calls, upto) - below) * price / 1000
        below = upto
    return cost


class Recognizer:
    """Looks at images by Rekognition; counts the calls that are paid for."""

    def __init__(self, aws: Aws, bucket: Bucket, settings: Settings, stop: Stop) -> None:
        self._aws = aws
        self._bucket = bucket
        self._settings = settings
        self._quota = Quota(settings.quota / settings.quota_workers, stop)
        self._lock = threading.Lock()
        self.paid_calls = 0
        self.throttled_calls = 0

    def label(self, index: str) -> Label | None:
        """The label, when the image has it with a confidence *higher* than the settings' one.

        Raises ImageError when the image can never be looked at, and what `Aws.call` raises.
        """
        content = self._content(index, "", self._settings.label_source, MAX_LABEL_SIDE)
        reply = self._detect("Rekognition DetectLabels", content, self._detect_labels)
        for label in reply["Labels"]:
            # MinConfidence lets through what is equal
            if (
                label["Name"] == self._settings.label
                and label["Confidence"] > self._settings.min_confidence
            ):
                return _label(label)
        return None

    def lines(self, index: str, etag: str) -> tuple[TextLine, ...]:
        """The lines of text in an image, as it was at `etag`; from top to bottom.

        Raises ImageError when the image can never be read, and what `Aws.call` raises.
        """
        content = self._content(index, etag, self._settings.text_source, None)
        reply = self._detect(
            "Rekognition DetectText",
            content,
            lambda c: self._aws.rekognition.detect_text(Image=self._bucket.reference(c)),
        )
        return tuple(
            TextLine(
                found["DetectedText"],
                round(found["Confidence"], 2),
                tuple(
                    (round(point["X"], 5), round(point["Y"], 5))
                    for point in found["Geometry"]["Polygon"]
                ),
            )
            for found in reply["TextDetections"]
            # each WORD repeats a part of a LINE
            if found["Type"] == "LINE" and found["Confidence"] >= self._settings.text_confidence
        )

    def _content(self, index: str, etag: str, source: ImageSource, max_side: int | None) -> Content:
        if source == "s3":
            return Content(index)
        return self._bucket.download(index, etag, max_side)

    def _detect_labels(self, content: Content) -> DetectLabelsResponseTypeDef:
        return self._aws.rekognition.detect_labels(
            Image=self._bucket.reference(content),
            MinConfidence=self._settings.min_confidence,
            Features=["GENERAL_LABELS"],
            Settings={"GeneralLabels": {"LabelInclusionFilters": [self._settings.label]}},
        )

    def _detect(self, what: str, content: Content, operation: Callable[[Content], T]) -> T:
        def within_quota() -> T:
            self._quota.wait()
            try:
                return operation(content)
            except ClientError as error:
                if is_throttled(error):
                    self._quota.throttled()
                    with self._lock:
                        self.throttled_calls += 1
                raise

        try:
            reply = self._aws.call(what, within_quota)
        except ClientError as error:
            if code_of(error) == "InvalidS3ObjectException":
                raise self._bucket.why_not_readable(content.index) from error
            if code_of(error) in ABOUT_THE_IMAGE:
                raise ImageError(error_message(error)) from error
            raise RunError(f"{what}: {error_message(error)}") from error
        with self._lock:
            self.paid_calls += 1
        return reply


def _label(label: LabelTypeDef) -> Label:
    boxes = (instance["BoundingBox"] for instance in label.get("Instances", []))
    return Label(
        label["Name"],
        round(label["Confidence"], 2),
        tuple(
            Box(
                round(box["Left"], 5),
                round(box["Top"], 5),
                round(box["Width"], 5),
                round(box["Height"], 5),
            )
            for box in boxes
        ),
    )
