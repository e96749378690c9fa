"""The services' answers as far as the workers believe them: what is not like this is malformed.

The shapes are those of botocore's service models, with what the workers need required. `reader`
makes the function that reads one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypeVar

from pydantic import ConfigDict, Field, NonNegativeInt, TypeAdapter, with_config
from typing_extensions import TypedDict

A = TypeVar("A")

STRICT = with_config(ConfigDict(strict=True, allow_inf_nan=False))
Text = Annotated[str, Field(min_length=1)]
Line = Annotated[str, Field(pattern=r"^[^\n]+$")]
Confidence = Annotated[float, Field(ge=0, le=100)]


@STRICT
class ListedObject(TypedDict):
    """S3 ListObjectsV2: one object."""

    Key: Text
    Size: NonNegativeInt
    ETag: Text


@STRICT
class Listing(TypedDict):
    """S3 ListObjectsV2: one page."""

    IsTruncated: bool
    Contents: NotRequired[list[ListedObject]]
    NextContinuationToken: NotRequired[Text]


@STRICT
class BoundingBox(TypedDict):
    """Rekognition: ratios of the image's width and height."""

    Left: float
    Top: float
    Width: float
    Height: float


@STRICT
class Instance(TypedDict):
    """Rekognition DetectLabels: where the label is."""

    BoundingBox: BoundingBox


@STRICT
class FoundLabel(TypedDict):
    """Rekognition DetectLabels: one label."""

    Name: Line
    Confidence: Confidence
    Instances: NotRequired[list[Instance]]


@STRICT
class LabelsAnswer(TypedDict):
    """Rekognition DetectLabels."""

    Labels: list[FoundLabel]
    LabelModelVersion: NotRequired[str]


@STRICT
class Point(TypedDict):
    """Rekognition: ratios of the image's width and height."""

    X: float
    Y: float


@STRICT
class Geometry(TypedDict):
    """Rekognition DetectText: where a text is."""

    Polygon: list[Point]


@STRICT
class FoundText(TypedDict):
    """Rekognition DetectText: one line or word."""

    DetectedText: str
    Type: Text
    Confidence: Confidence
    Geometry: Geometry


@STRICT
class TextsAnswer(TypedDict):
    """Rekognition DetectText."""

    TextDetections: list[FoundText]


@STRICT
class MessageAttribute(TypedDict):
    """SQS ReceiveMessage: an attribute; binary ones have no text."""

    StringValue: NotRequired[str]


@STRICT
class MessageAnswer(TypedDict):
    """SQS ReceiveMessage: one message."""

    Body: str
    ReceiptHandle: Text
    Attributes: dict[str, str]
    MessageAttributes: NotRequired[dict[str, MessageAttribute]]


@STRICT
class MessagesAnswer(TypedDict):
    """SQS ReceiveMessage: none have come where the list is not there."""

    Messages: NotRequired[list[MessageAnswer]]


@STRICT
class Done(TypedDict):
    """SQS batches: an entry that was taken."""

    Id: Text


@STRICT
class NotDone(TypedDict):
    """SQS batches: an entry that was not taken; whose fault it is decides about another try."""

    Id: Text
    SenderFault: bool
    Code: Text
    Message: NotRequired[str]


@STRICT
class BatchAnswer(TypedDict):
    """SQS SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch."""

    Successful: NotRequired[list[Done]]
    Failed: NotRequired[list[NotDone]]


@STRICT
class AttributesAnswer(TypedDict):
    """SQS GetQueueAttributes."""

    Attributes: dict[str, str]


def reader(shape: type[A]) -> Callable[[Any], A]:
    """Makes what reads an answer of this shape; it raises ValueError where one is not like it."""
    return TypeAdapter(shape).validate_python
