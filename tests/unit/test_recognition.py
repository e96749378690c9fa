"""Rekognition's answers in the field's words, and what they cost."""

from __future__ import annotations

import io
from typing import Any

import pytest

from console.services import services_on
from tests.unit.conftest import MakeCalls, MakeSettings
from tests.unit.fakes import FakeS3, Scripted, client, client_error, etag, png
from workers.answer import LabelAnswer, TextAnswer
from workers.errors import AccessError, ImageError, OutageError, PassingError, RunError
from workers.images.limits import MAX_AUTO_BYTES
from workers.model import Box, Label, TextLine
from workers.price import dollars
from workers.recognition.rekognition import Rekognition
from workers.threads.stop import Stop


@pytest.mark.parametrize(
    ("calls", "cost"),
    [
        (0, 0),
        (1, 0.001),
        (10, 0.01),
        (1_000_000, 1000),
        (1_000_001, 1000.0008),
        (5_000_000, 4200),
        (5_001_000, 4200.6),
        (35_000_000, 22_200),
        (36_000_000, 22_450),
    ],
)
def test_dollars(calls: int, cost: float) -> None:
    assert dollars(calls) == pytest.approx(cost)


@pytest.fixture
def recognizer(make_calls: MakeCalls, make_settings: MakeSettings, stop: Stop):
    def make(s3: Any = None, **kwargs: Any) -> Rekognition:
        operations = {k: kwargs.pop(k) for k in ("detect_labels", "detect_text") if k in kwargs}
        settings = make_settings(**{"retry_seconds": 0.05, **kwargs})
        clients = (s3 or FakeS3({"1.jpg": png()}), None, client(**operations))
        services = services_on(settings, None, stop, make_calls(settings), clients)
        return services.recognizer

    return make


def label(confidence: float, name: str = "Car", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Confidence": confidence, **more}


def found(text: str, confidence: float = 99.0, kind: str = "LINE") -> dict[str, Any]:
    polygon = [{"X": 0.1234567, "Y": 0.5}, {"X": 1.0, "Y": 0.0}]
    return {
        "DetectedText": text,
        "Type": kind,
        "Confidence": confidence,
        "Geometry": {"Polygon": polygon},
    }


def test_an_answer_has_all_labels_with_their_boxes_the_surest_first(recognizer) -> None:
    box = {"Left": 0.1, "Top": 0.2, "Width": 0.3333333, "Height": 0.4}
    answer = Scripted(
        {
            "Labels": [
                label(55.0, "Wheel"),
                label(97.1234567, Instances=[{"BoundingBox": box}] * 2, Parents=[]),
            ],
            "LabelModelVersion": "3.0",
        }
    )
    expected = Label("Car", 97.12346, (Box(0.1, 0.2, 0.33335, 0.4),) * 2)
    seen = recognizer(detect_labels=answer).labels("1.jpg", "", 55.0)
    assert seen == LabelAnswer(55.0, "3.0", (expected, Label("Wheel", 55.0)))


def test_an_answer_reads_the_same_just_paid_for_or_known(recognizer) -> None:
    sides = {"Left": -0.0123456, "Top": 1 / 3, "Width": 2 / 3, "Height": 1.0000001}
    labels = [label(97.1234567, Instances=[{"BoundingBox": sides}]), label(55.5555555, "Wheel")]
    seen = recognizer(detect_labels=Scripted({"Labels": labels})).labels("1.jpg", "", 55.0)
    assert LabelAnswer.unpack(seen.pack()) == seen
    read = {"TextDetections": [found("AB 123", 98.7654321)]}
    text = recognizer(detect_text=Scripted(read)).text("1.jpg", "")
    assert TextAnswer.unpack(text.pack()) == text


@pytest.mark.parametrize("odd", [label(-1.0), label(100.1), label(90.0, "C\nar"), label(90.0, "")])
def test_an_answer_that_could_not_be_kept_is_none(recognizer, odd: dict[str, Any]) -> None:
    answer = Scripted({"Labels": [odd]}, {"Labels": [label(90.0)]})
    seen = recognizer(detect_labels=answer).labels("1.jpg", "", 55.0)
    assert (seen.labels, answer.calls) == ((Label("Car", 90.0),), 2)


@pytest.mark.parametrize("side", [1e308, -1e308])
def test_a_box_that_lies_far_off_is_kept_as_far_as_can_be(recognizer, side: float) -> None:
    sides = dict.fromkeys(("Left", "Top", "Width", "Height"), side)
    labels = [label(90.0, Instances=[{"BoundingBox": sides}])]
    seen = recognizer(detect_labels=Scripted({"Labels": labels})).labels("1.jpg", "", 55.0)
    assert LabelAnswer.unpack(seen.pack()) == seen


def test_labels_are_asked_for_by_reference_without_a_filter_and_nothing_that_bills_extra(
    recognizer,
) -> None:
    answer = Scripted({"Labels": []})
    recognizer(detect_labels=answer).labels("1.jpg", etag(png()), 40.0)
    assert answer.requests == [
        {
            "Image": {"S3Object": {"Bucket": "photos", "Name": "1.jpg"}},
            "MinConfidence": 40.0,
            "Features": ["GENERAL_LABELS"],
        }
    ]


@pytest.mark.parametrize("kind", ["labels", "text"])
def test_what_is_replaced_while_it_is_looked_at_by_reference_has_no_answer(
    recognizer, kind: str
) -> None:
    s3 = FakeS3({"1.jpg": png()})

    def replace(**_: Any) -> Any:
        s3.objects["1.jpg"] = png(tail=b"new")
        return {"Labels": [], "TextDetections": []}

    seeing = recognizer(s3, detect_labels=replace, detect_text=replace, text_source="s3")
    calls = {
        "labels": lambda: seeing.labels("1.jpg", etag(png()), 55.0),
        "text": lambda: seeing.text("1.jpg", etag(png())),
    }
    with pytest.raises(ImageError, match="replaced"):
        calls[kind]()


def test_what_is_paid_for_is_had_though_nobody_knows_whether_it_was_replaced(recognizer) -> None:
    """But it is not kept for other runs."""
    s3 = client(get_object=Scripted(client_error("InternalError", 500)))
    answer = Scripted({"Labels": [label(95.0)]})
    seeing = recognizer(s3, detect_labels=answer)
    seen = seeing.labels("1.jpg", etag(png()), 55.0)
    assert seen == LabelAnswer(55.0, "", (Label("Car", 95.0),), doubtful=True)
    assert (answer.calls, seeing.paid_calls) == (1, 1)


def test_text_is_asked_for_by_bytes(recognizer) -> None:
    answer = Scripted({"TextDetections": []})
    recognizer(detect_text=answer).text("1.jpg", etag(png()))
    assert answer.requests == [{"Image": {"Bytes": png()}}]


def test_one_setting_changes_either_way(recognizer) -> None:
    labels, texts = Scripted({"Labels": []}), Scripted({"TextDetections": []})
    recognizer(detect_labels=labels, label_source="bytes").labels("1.jpg", "", 55.0)
    assert labels.requests[0]["Image"] == {"Bytes": png()}
    recognizer(detect_text=texts, text_source="s3").text("1.jpg", "")
    assert texts.requests[0]["Image"] == {"S3Object": {"Bucket": "photos", "Name": "1.jpg"}}


@pytest.mark.parametrize(
    ("size", "by_bytes"), [(MAX_AUTO_BYTES, True), (MAX_AUTO_BYTES + 1, False)]
)
def test_text_of_a_large_image_is_asked_for_by_reference(
    recognizer, size: int, by_bytes: bool
) -> None:
    data = png(tail=bytes(size - len(png())))
    texts = Scripted({"TextDetections": []})
    recognizer(FakeS3({"1.jpg": data}), detect_text=texts).text("1.jpg", etag(data))
    by_reference = {"S3Object": {"Bucket": "photos", "Name": "1.jpg"}}
    assert texts.requests == [{"Image": {"Bytes": data} if by_bytes else by_reference}]


def test_a_large_image_that_was_replaced_is_not_asked_for(recognizer) -> None:
    data = png(tail=bytes(MAX_AUTO_BYTES))
    texts = Scripted({"TextDetections": []})
    with pytest.raises(ImageError, match="replaced"):
        recognizer(FakeS3({"1.jpg": data}), detect_text=texts).text("1.jpg", '"another"')
    assert texts.calls == 0


def test_text_is_every_line(recognizer) -> None:
    answer = Scripted(
        {
            "TextDetections": [
                found("IT'S MONDAY", 98.765),
                found("dirt", 12.5),
                found("IT'S", 99, "WORD"),
                found("MONDAY", 99, "WORD"),
            ]
        }
    )
    polygon = ((0.12346, 0.5), (1.0, 0.0))
    assert recognizer(detect_text=answer).text("1.jpg", "").lines == (
        TextLine("IT'S MONDAY", 98.765, polygon),
        TextLine("dirt", 12.5, polygon),
    )


def test_no_call_is_paid_for_an_image_that_breaks_a_limit(recognizer) -> None:
    answer = Scripted({"TextDetections": []})
    seeing = recognizer(FakeS3({"1.jpg": b"GIF89a"}), detect_text=answer)
    with pytest.raises(ImageError, match="wrong format"):
        seeing.text("1.jpg", "")
    with pytest.raises(ImageError, match="gone"):
        seeing.text("2.jpg", "")
    assert (answer.calls, seeing.paid_calls) == (0, 0)


@pytest.mark.parametrize(
    "code", ["ImageTooLargeException", "InvalidImageFormatException", "InvalidParameterException"]
)
def test_what_is_wrong_with_the_image_is_its_failure(recognizer, code: str) -> None:
    answer = Scripted(client_error(code, 400, "no good"))
    seeing = recognizer(detect_labels=answer)
    with pytest.raises(ImageError, match=f"^{code}: no good$"):
        seeing.labels("1.jpg", "", 55.0)
    assert (answer.calls, seeing.paid_calls) == (1, 0)


@pytest.mark.parametrize(
    ("get", "kind", "told"),
    [
        (client_error("NoSuchKey", 404), ImageError, "gone"),
        (client_error("AccessDenied", 403), AccessError, "no access: AccessDenied"),
        ({"Body": io.BytesIO(b"x")}, ImageError, "not readable by Rekognition though it is there"),
    ],
)
def test_an_s3_object_that_rekognition_cannot_get(
    recognizer, get: Any, kind: type[Exception], told: str
) -> None:
    answer = Scripted(client_error("InvalidS3ObjectException"))
    s3 = client(get_object=Scripted(get))
    with pytest.raises(kind, match=told):
        recognizer(s3, detect_labels=answer).labels("1.jpg", "", 55.0)
    assert answer.calls == 1


def test_calls_are_counted_as_they_are_paid(recognizer) -> None:
    throttled = client_error("ProvisionedThroughputExceededException")
    answer = Scripted(throttled, client_error("x", 500), throttled, {"TextDetections": []})
    seeing = recognizer(detect_text=answer)
    seeing.text("1.jpg", "")
    assert (answer.calls, seeing.paid_calls, seeing.throttled_calls) == (4, 1, 2)


def test_a_throttled_call_slows_the_worker_and_a_failed_one_does_not(recognizer) -> None:
    seeing = recognizer(detect_text=Scripted(client_error("x", 500), {"TextDetections": []}))
    before = seeing._quota.rate
    seeing.text("1.jpg", "")
    assert seeing._quota.rate >= before
    throttled = client_error("ThrottlingException")
    seeing = recognizer(detect_text=Scripted(throttled, {"TextDetections": []}), quota=10_000)
    seeing.text("1.jpg", "")
    assert seeing._quota.rate < 10_000 / 2 * 0.9


def test_the_quota_is_shared_by_the_workers(recognizer) -> None:
    assert recognizer(quota=50)._quota.full_rate == pytest.approx(49)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ThrottlingException"), OutageError),
        (client_error("InternalServerError", 500), PassingError),
        (client_error("AccessDeniedException"), RunError),
        (client_error("ExpiredTokenException"), RunError),
    ],
)
def test_what_is_not_about_the_image_is_not_its_failure(
    recognizer, error: Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        recognizer(detect_text=Scripted(error)).text("1.jpg", "")
