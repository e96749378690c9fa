"""Rekognition's two operations, in the field's words, within the quota."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from workers.answer import LabelAnswer, TextAnswer, kept_ratio
from workers.aws.answers import FoundLabel, FoundText, LabelsAnswer, TextsAnswer, reader
from workers.aws.calls import Calls
from workers.aws.codes import code_of, is_throttled
from workers.aws.quota import Quota
from workers.errors import WorkerError
from workers.images.bucket import Bucket
from workers.images.limits import MAX_LABEL_SIDE, most_inline
from workers.model import Box, Label, TextLine
from workers.settings import ImageSource, Settings

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

T = TypeVar("T")

_labels, _texts = reader(LabelsAnswer), reader(TextsAnswer)


class Rekognition:
    """The `Recognizer` that AWS has; its quota is this worker's share."""

    def __init__(
        self,
        client: RekognitionClient,
        bucket: Bucket,
        calls: Calls,
        quota: Quota,
        settings: Settings,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._calls = calls
        self._quota = quota
        self._settings = settings
        self._lock = threading.Lock()
        self.paid_calls = 0
        self.throttled_calls = 0

    def labels(self, index: str, etag: str, floor: float) -> LabelAnswer:
        """All labels with at least `floor` percent: no filter, for one label costs the same.

        Raises ImageError when the image can never be looked at, and what `Calls.call` raises.
        """
        image = self._image(index, etag, self._settings.label_source, MAX_LABEL_SIDE)
        reply = self._detect(
            "Rekognition DetectLabels",
            index,
            lambda: self._client.detect_labels(
                Image=image, MinConfidence=floor, Features=["GENERAL_LABELS"]
            ),
            _labels,
        )
        doubtful = self._may_be_another_picture(image, index, etag)
        found = sorted(map(_label, reply["Labels"]), key=lambda label: -label.confidence)
        return LabelAnswer(floor, reply.get("LabelModelVersion", ""), tuple(found), doubtful)

    def text(self, index: str, etag: str) -> TextAnswer:
        """Every line of text in an image, from top to bottom.

        Raises ImageError when the image can never be read, and what `Calls.call` raises.
        """
        image = self._image(index, etag, self._settings.text_source, None)
        reply = self._detect(
            "Rekognition DetectText",
            index,
            lambda: self._client.detect_text(Image=image),
            _texts,
        )
        doubtful = self._may_be_another_picture(image, index, etag)
        # each WORD repeats a part of a LINE
        lines = (_line(found) for found in reply["TextDetections"] if found["Type"] == "LINE")
        return TextAnswer(tuple(lines), doubtful)

    def _may_be_another_picture(self, image: Any, index: str, etag: str) -> bool:
        """Whether nobody knows that what went by reference was looked at as it was at `etag`.

        Raises ImageError when it was replaced.
        """
        if not etag or "S3Object" not in image:
            return False
        try:
            self._bucket.check_unchanged(index, etag)
        except WorkerError:
            # it is paid for by now: whatever keeps S3 from telling, this run may have it
            return True
        return False

    def _image(self, index: str, etag: str, source: ImageSource, max_side: int | None) -> Any:
        """The image as a request has it: its bytes, or where it lies when it is too large."""
        most = most_inline(source)
        if most and (data := self._bucket.download(index, etag, max_side, most)):
            return {"Bytes": data}
        return {"S3Object": {"Bucket": self._bucket.name, "Name": index}}

    def _detect(
        self, what: str, index: str, operation: Callable[[], Any], read: Callable[[Any], T]
    ) -> T:
        def counted() -> Any:
            try:
                answer = operation()
            except ClientError as error:
                if is_throttled(error):
                    self._quota.throttled()
                    with self._lock:
                        self.throttled_calls += 1
                if code_of(error) == "InvalidS3ObjectException":
                    raise self._bucket.why_not_readable(index) from error
                raise
            # it is paid for before anybody has understood it
            with self._lock:
                self.paid_calls += 1
            return answer

        return self._calls.call(what, counted, read, about_image=True, turn=self._quota.wait)


def _label(label: FoundLabel) -> Label:
    boxes = (instance["BoundingBox"] for instance in label.get("Instances", []))
    return Label(
        label["Name"],
        round(label["Confidence"], 5),
        tuple(
            Box(*(kept_ratio(box[side]) for side in ("Left", "Top", "Width", "Height")))
            for box in boxes
        ),
    )


def _line(found: FoundText) -> TextLine:
    corners = found["Geometry"]["Polygon"]
    polygon = tuple((round(corner["X"], 5), round(corner["Y"], 5)) for corner in corners)
    return TextLine(found["DetectedText"], round(found["Confidence"], 5), polygon)
