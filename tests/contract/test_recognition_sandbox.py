"""The sandbox's Rekognition on the wire: what it answers, what it refuses, how it can misbehave."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.authorization import enable_iam_authentication
from PIL import Image, ImageDraw, ImageFont

from sandbox import scenes
from sandbox.aws.rekognition import eyes, labels, traffic
from sandbox.aws.rekognition import service as rekognition
from sandbox.aws.rekognition.eyes import detector, reader
from sandbox.aws.rekognition.eyes.pixels import Point
from sandbox.aws.server import Sandbox
from tests.contract.drawn import SAMPLES, assert_seen_as_drawn, overlap, texts

BUCKET = "photos"
CAR, SIGN, TWO_CARS, SHOP = "1.jpg", "4.jpg", "5.jpg", "10.jpg"
# no retries, and no checks before the request is sent: the service itself shall answer
BARE = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


@pytest.fixture(scope="module")
def aws() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.create_bucket(BUCKET, ((sample.index, sample.data) for sample in SAMPLES.values()))
        yield running


@pytest.fixture
def client(aws: Sandbox) -> Iterator[Any]:
    rekognition.reset_counts()
    yield _client(aws)
    for name, value in vars(rekognition.Knobs()).items():
        setattr(rekognition.knobs, name, value)


def _client(aws: Sandbox, key: tuple[str, str] = ("sandbox", "sandbox")) -> Any:
    return boto3.client(
        "rekognition",
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        endpoint_url=aws.endpoint,
        config=BARE,
    )


def _stored(index: str, bucket: str = BUCKET, **more: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": bucket, "Name": index, **more}}


def _encoded(picture: Image.Image, picture_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, picture_format, **options)
    return file.getvalue()


def _plain(width: int = 320, height: int = 240) -> Image.Image:
    return Image.new("RGB", (width, height), "white")


def _written(*lines: str) -> Image.Image:
    picture = _plain(480, 160)
    for number, line in enumerate(lines):
        place = (20, 20 + 50 * number)
        ImageDraw.Draw(picture).text(place, line, "black", ImageFont.load_default(36))
    return picture


def _refused(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def _names(answer: dict[str, Any]) -> set[str]:
    return {label["Name"] for label in answer["Labels"]}


# --- labels ------------------------------------------------------------------------------------


def test_a_label_is_what_the_real_service_says(client: Any) -> None:
    answer = client.detect_labels(Image=_stored(CAR))
    assert answer["LabelModelVersion"] == "3.0"
    labels = {label["Name"]: label for label in answer["Labels"]}
    car = labels["Car"]
    assert {parent["Name"] for parent in car["Parents"]} == {"Vehicle", "Transportation"}
    assert car["Aliases"] == [{"Name": "Automobile"}]
    assert car["Categories"] == [{"Name": "Vehicles and Automotive"}]
    (instance,) = car["Instances"]
    assert car["Confidence"] == instance["Confidence"] > 90
    assert overlap(instance["BoundingBox"], SAMPLES[CAR].truth.boxes[0]) > 0.7
    assert labels["Transportation"]["Confidence"] >= car["Confidence"]
    assert labels["Transportation"]["Instances"] == []


def test_labels_come_surest_first_and_no_more_than_asked_for(client: Any) -> None:
    everything = client.detect_labels(Image=_stored(CAR), MinConfidence=0)["Labels"]
    sure = [label["Confidence"] for label in everything]
    assert sure == sorted(sure, reverse=True)
    assert len(everything) > 2
    fewer = client.detect_labels(Image=_stored(CAR), MinConfidence=0, MaxLabels=2)["Labels"]
    assert fewer == everything[:2]


def test_min_confidence_is_inclusive_and_55_unless_told(client: Any) -> None:
    (car,) = _cars(client, MinConfidence=90)
    assert _cars(client, MinConfidence=car["Confidence"])
    assert not _cars(client, MinConfidence=car["Confidence"] + 0.001)
    default = client.detect_labels(Image=_stored(SHOP))["Labels"]
    assert default == client.detect_labels(Image=_stored(SHOP), MinConfidence=55)["Labels"]
    assert default != client.detect_labels(Image=_stored(SHOP), MinConfidence=0)["Labels"]


def _cars(client: Any, **settings: Any) -> Any:
    only = {"GeneralLabels": {"LabelInclusionFilters": ["Car"]}}
    return client.detect_labels(Image=_stored(CAR), Settings=only, **settings)["Labels"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"LabelInclusionFilters": ["Car"]}, {"Car"}),
        ({"LabelInclusionFilters": ["Dog"]}, set()),
        ({"LabelExclusionFilters": ["Car"]}, {"Vehicle", "Transportation"}),
        (
            {"LabelCategoryInclusionFilters": ["Vehicles and Automotive"]},
            {"Car", "Vehicle", "Transportation"},
        ),
        ({"LabelCategoryExclusionFilters": ["Vehicles and Automotive"]}, set()),
        (
            {
                "LabelCategoryInclusionFilters": ["Vehicles and Automotive"],
                "LabelExclusionFilters": ["Vehicle"],
            },
            {"Car", "Transportation"},
        ),
    ],
)
def test_filters(client: Any, filters: dict[str, list[str]], expected: set[str]) -> None:
    settings = {"GeneralLabels": filters}
    answer = client.detect_labels(Image=_stored(CAR), Settings=settings, MinConfidence=80)
    assert _names(answer) == expected


def test_every_class_of_the_model_has_a_label() -> None:
    with eyes.networks.one() as network:
        names = {labels.RENAMED.get(name, name) for name in network.names[1:]}
    assert names <= labels.KINDS.keys()
    parents = {parent for kind in labels.KINDS.values() for parent in kind.parents}
    assert parents <= labels.KINDS.keys()


# --- text --------------------------------------------------------------------------------------


def test_lines_come_first_and_words_point_to_their_line(client: Any) -> None:
    image = _encoded(_written("TEA HOUSE", "OPEN TILL NINE"))
    answer = client.detect_text(Image={"Bytes": image})
    assert answer["TextModelVersion"] == "3.0"
    found = answer["TextDetections"]
    assert [text["Id"] for text in found] == list(range(len(found)))
    assert [text["Type"] for text in found] == ["LINE"] * 2 + ["WORD"] * 5
    assert texts(answer) == ["TEA HOUSE", "OPEN TILL NINE"]
    for line in found[:2]:
        assert "ParentId" not in line
        words = [word for word in found if word.get("ParentId") == line["Id"]]
        assert [word["DetectedText"] for word in words] == line["DetectedText"].split()
        lefts = [word["Geometry"]["BoundingBox"]["Left"] for word in words]
        assert lefts == sorted(lefts)
    for text in found:
        assert 90 < text["Confidence"] <= 100
        assert len(text["Geometry"]["Polygon"]) == 4
        assert all(0 <= p["X"] <= 1 and 0 <= p["Y"] <= 1 for p in text["Geometry"]["Polygon"])
        box = text["Geometry"]["BoundingBox"]
        assert box["Left"] == min(p["X"] for p in text["Geometry"]["Polygon"])
        assert 0 < box["Height"] < 0.4


def test_bytes_and_object_are_answered_alike(client: Any) -> None:
    sent = client.detect_text(Image={"Bytes": SAMPLES[SHOP].data})
    stored = client.detect_text(Image=_stored(SHOP))
    assert sent["TextDetections"] == stored["TextDetections"]
    assert tuple(texts(stored)) == SAMPLES[SHOP].truth.text


def _line(top: float, *words: tuple[str, float]) -> reader.Line:
    """A line at `top` whose words, with their confidence, stand in columns 0.1 wide."""
    parts = tuple(
        reader.Word(text, sure, _corners(column / 10, top, 0.1))
        for column, (text, sure) in enumerate(words)
    )
    text = " ".join(text for text, _ in words)
    return reader.Line(text, 99.0, _corners(0, top, len(words) / 10), parts)


def _corners(left: float, top: float, width: float) -> tuple[Point, ...]:
    return ((left, top), (left + width, top), (left + width, top + 0.05), (left, top + 0.05))


def test_filters_of_words(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (_line(0.1, ("SURE", 95.0), ("VAGUE", 60.0)), _line(0.8, ("GUESS", 55.0)))
    monkeypatch.setattr(eyes, "text_lines", lambda _: lines)

    def kept(**filters: Any) -> list[str]:
        return texts(client.detect_text(Image=_stored(SHOP), Filters=filters), "WORD")

    everything = ["SURE", "VAGUE", "GUESS"]
    assert kept() == kept(WordFilter={"MinConfidence": 55}) == everything
    assert kept(WordFilter={"MinConfidence": 60}) == ["SURE", "VAGUE"]
    assert kept(WordFilter={"MinBoundingBoxWidth": 0.09}) == everything
    assert kept(WordFilter={"MinBoundingBoxWidth": 0.11}) == []
    assert kept(WordFilter={"MinBoundingBoxHeight": 0.06}) == []
    box = {"Left": 0.1, "Top": 0.0, "Width": 0.9, "Height": 0.5}
    assert kept(RegionsOfInterest=[{"BoundingBox": box}]) == ["VAGUE"]
    low = [{"X": x, "Y": y} for x, y in ((0.0, 0.7), (1.0, 0.7), (0.5, 1.0))]
    assert kept(RegionsOfInterest=[{"BoundingBox": box}, {"Polygon": low}]) == ["VAGUE", "GUESS"]
    answer = client.detect_text(Image=_stored(SHOP), Filters={"WordFilter": {"MinConfidence": 56}})
    assert texts(answer) == ["SURE VAGUE"]


def test_no_more_than_a_hundred_words(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [("WORD", 99.0)] * 9
    monkeypatch.setattr(eyes, "text_lines", lambda _: (_line(0.1, *words),) * 13)
    answer = client.detect_text(Image=_stored(SHOP))
    assert len(texts(answer, "WORD")) == 100
    assert len(texts(answer)) == 12


# --- images ------------------------------------------------------------------------------------


def _turned(index: str, picture_format: str) -> bytes:
    """The sample lying on its side, with the EXIF entry that says how to hold it upright."""
    picture = Image.open(io.BytesIO(SAMPLES[index].data)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(picture.transpose(Image.Transpose.ROTATE_90), picture_format, exif=exif)


def test_a_jpeg_is_turned_as_its_exif_says(client: Any) -> None:
    image = {"Bytes": _turned(CAR, "JPEG")}
    (car,) = [label for label in client.detect_labels(Image=image)["Labels"] if label["Instances"]]
    assert overlap(car["Instances"][0]["BoundingBox"], SAMPLES[CAR].truth.boxes[0]) > 0.7
    assert tuple(texts(client.detect_text(Image=image))) == SAMPLES[CAR].truth.text


def test_a_png_is_not_turned(client: Any) -> None:
    lines = client.detect_text(Image={"Bytes": _turned(CAR, "PNG")})["TextDetections"]
    assert all(
        line["Geometry"]["BoundingBox"]["Height"] > line["Geometry"]["BoundingBox"]["Width"]
        for line in lines
    )


def _seen_through() -> Image.Image:
    """Black text on nothing, whose hidden pixels are black too."""
    picture = Image.new("RGBA", (480, 160), (0, 0, 0, 0))
    ImageDraw.Draw(picture).text((20, 20), "HARBOUR", "black", ImageFont.load_default(36))
    return picture


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(_encoded(_written("HARBOUR").convert("CMYK"), "JPEG"), id="CMYK"),
        pytest.param(_encoded(_written("HARBOUR"), "JPEG", progressive=True), id="progressive"),
        pytest.param(_encoded(_written("HARBOUR").convert("L")), id="grey"),
        pytest.param(_encoded(_written("HARBOUR").convert("P")), id="palette"),
        pytest.param(_encoded(_seen_through()), id="alpha"),
    ],
)
def test_every_kind_of_jpeg_and_png_is_read(client: Any, image: bytes) -> None:
    assert texts(client.detect_text(Image={"Bytes": image})) == ["HARBOUR"]


def test_an_older_version_of_an_object(aws: Sandbox, client: Any) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="versions", Key="a", Body=SAMPLES[CAR].data)["VersionId"]
    s3.put_object(Bucket="versions", Key="a", Body=SAMPLES[SIGN].data)
    assert "Car" not in _names(client.detect_labels(Image=_stored("a", "versions")))
    image = _stored("a", "versions", Version=old)
    assert "Car" in _names(client.detect_labels(Image=image))


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not an image at all", id="text"),
        pytest.param(SAMPLES[CAR].data[:20_000], id="cut off"),
        pytest.param(_encoded(_plain())[:100], id="PNG cut off"),
        pytest.param(_encoded(_plain(), "GIF"), id="GIF"),
        pytest.param(_encoded(_plain(), "WEBP"), id="WebP"),
        pytest.param(_encoded(_plain(), "BMP"), id="BMP"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(400), id="HEIC"),
    ],
)
def test_only_whole_jpegs_and_pngs(aws: Sandbox, client: Any, data: bytes) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="odd.jpg", Body=data)
    for operation in (client.detect_labels, client.detect_text):
        refusal = _refused(lambda call=operation: call(Image=_stored("odd.jpg")))
        assert refusal == ("InvalidImageFormatException", 400)


def test_sides(client: Any) -> None:
    for width, height in ((79, 200), (200, 79)):
        image = {"Bytes": _encoded(_plain(width, height))}
        for call in (client.detect_labels, client.detect_text):
            assert _refused(lambda c=call, i=image: c(Image=i))[0] == "InvalidParameterException"
    wide = {"Bytes": _encoded(_plain(10_001, 80))}
    assert _refused(lambda: client.detect_labels(Image=wide))[0] == "ImageTooLargeException"
    assert client.detect_text(Image=wide)["TextDetections"] == []
    assert client.detect_labels(Image={"Bytes": _encoded(_plain(80, 80))})["Labels"] == []


def test_weight(aws: Sandbox, client: Any) -> None:
    padded = SAMPLES[CAR].data + bytes(5 * 1024 * 1024 + 1 - len(SAMPLES[CAR].data))
    refusal = _refused(lambda: client.detect_labels(Image={"Bytes": padded}))
    assert refusal == ("ValidationException", 400)
    s3 = aws.client("s3")
    for size, fits in ((15 * 1024 * 1024, True), (15 * 1024 * 1024 + 1, False)):
        s3.put_object(Bucket=BUCKET, Key="fat.jpg", Body=SAMPLES[CAR].data.ljust(size, b"\0"))
        if fits:
            assert "Car" in _names(client.detect_labels(Image=_stored("fat.jpg")))
        else:
            refusal = _refused(lambda: client.detect_labels(Image=_stored("fat.jpg")))
            assert refusal == ("ImageTooLargeException", 400)


def test_an_object_that_cannot_be_had(aws: Sandbox, client: Any) -> None:
    abroad = "photos-abroad"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=abroad, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=abroad, Key=CAR, Body=SAMPLES[CAR].data)
    for image in (
        _stored("none.jpg"),
        _stored(CAR, "no-such-bucket"),
        _stored(CAR, abroad),
        _stored(CAR, Version="none"),
    ):
        with pytest.raises(client.exceptions.InvalidS3ObjectException) as caught:
            client.detect_labels(Image=image)
        assert caught.value.response["Error"]["Message"] == (
            "Unable to get object metadata from S3. "
            "Check object key, region and/or access permissions."
        )


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        ({}, "ValidationException", "Value null at 'image'"),
        ({"Image": {}}, "InvalidParameterException", "invalid parameters"),
        (
            {"Image": {"Bytes": b"x", "S3Object": {"Bucket": BUCKET, "Name": CAR}}},
            "InvalidParameterException",
            "invalid parameters",
        ),
        ({"Image": {"S3Object": {"Name": CAR}}}, "InvalidParameterException", "invalid"),
        ({"Image": {"Bytes": b""}}, "ValidationException", "greater than or equal to 1"),
        ({"Image": _stored(CAR), "MinConfidence": 101}, "ValidationException", "'minConfidence'"),
        ({"Image": _stored(CAR), "MaxLabels": -1}, "ValidationException", "'maxLabels'"),
        (
            {"Image": _stored(CAR), "Features": ["FACES"]},
            "ValidationException",
            "at 'features.1.member'",
        ),
        ({"Image": _stored(CAR, "a b c")}, "ValidationException", "'image.s3Object.bucket'"),
    ],
)
def test_requests_that_break_a_rule(
    client: Any, request_: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        client.detect_labels(**request_)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b'{"Image": "x"}', "SerializationException"),
        (b'{"Image": {"Bytes": "*"}}', "InvalidImageFormatException"),
        (b'{"Image": {"Bytes": "YQ=="}, "MinConfidence": "90"}', "SerializationException"),
    ],
)
def test_bodies_that_no_sdk_would_send(aws: Sandbox, body: bytes, code: str) -> None:
    said = _post(aws, body)
    assert said["__type"] == said["Code"] == code
    assert said["Message"]


def _post(aws: Sandbox, body: bytes) -> Any:
    key = "Credential=a/20260101/us-east-1/rekognition/aws4_request"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "RekognitionService.DetectLabels",
        "Authorization": f"AWS4-HMAC-SHA256 {key}",
    }
    request = urllib.request.Request(aws.endpoint, body, headers)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request):  # noqa: S310
        pass
    assert caught.value.code == 400
    return json.loads(caught.value.read())


def test_permissions(aws: Sandbox) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="worker")
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    worker = _client(aws, (key["AccessKeyId"], key["SecretAccessKey"]))

    def outcome(*allowed: tuple[str, str], **version: str) -> str:
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in allowed
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName="worker", PolicyName="may", PolicyDocument=policy)
        image = _stored(CAR, **version)
        with enable_iam_authentication():
            try:
                return ",".join(sorted(_names(worker.detect_labels(Image=image))))
            except ClientError as error:
                return str(error.response["Error"]["Code"])

    look = ("rekognition:DetectLabels", "*")
    read = ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
    assert outcome(read) == "AccessDeniedException"
    assert outcome(look) == "InvalidS3ObjectException"
    assert outcome(look, ("s3:GetObject", "arn:aws:s3:::others/*")) == "InvalidS3ObjectException"
    assert outcome(look, ("s3:ListBucket", "*")) == "InvalidS3ObjectException"
    assert "Car" in outcome(look, read)
    assert outcome(look, read, Version="null") == "InvalidS3ObjectException"
    assert "Car" in outcome(look, ("s3:GetObjectVersion", "*"), Version="null")


# --- knobs and counts --------------------------------------------------------------------------


def test_answers_are_counted(client: Any) -> None:
    for _ in range(2):
        client.detect_labels(Image=_stored(CAR))
    client.detect_text(Image={"Bytes": SAMPLES[CAR].data})
    _refused(lambda: client.detect_text(Image=_stored("none.jpg")))
    sha = hashlib.sha256(SAMPLES[CAR].data).hexdigest()
    assert rekognition.counts() == {
        "DetectLabels": {"good": 2, "throttled": 0, "failed": 0, "paid": {CAR: 2}},
        "DetectText": {"good": 1, "throttled": 0, "failed": 1, "paid": {sha: 1}},
    }
    rekognition.reset_counts()
    assert rekognition.counts()["DetectLabels"]["good"] == 0


def test_a_quota_for_each_operation(client: Any) -> None:
    client.detect_labels(Image=_stored(CAR))
    rekognition.reset_counts()
    rekognition.knobs.calls_per_second = 2
    codes = [_outcome(lambda: client.detect_labels(Image=_stored(CAR))) for _ in range(20)]
    assert codes[:2] == ["ok"] * 2
    assert set(codes) == {"ok", "ProvisionedThroughputExceededException"}
    assert _outcome(lambda: client.detect_text(Image=_stored(CAR))) == "ok"
    counted = rekognition.counts()["DetectLabels"]
    assert counted["good"] == codes.count("ok") == counted["paid"][CAR]
    assert counted["throttled"] == 20 - codes.count("ok")
    time.sleep(0.6)
    assert _outcome(lambda: client.detect_labels(Image=_stored(CAR))) == "ok"


def test_a_quota_saves_up_no_more_than_a_second() -> None:
    meter = traffic.Meter()

    def taken(now: float) -> int:
        return sum(meter.has_quota(10, now) for _ in range(50))

    assert [taken(now) for now in (0.0, 0.55, 60.0)] == [10, 5, 10]
    assert meter.has_quota(None, 60.0)


def _outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def test_a_throttled_call_says_what_the_real_one_says(client: Any) -> None:
    rekognition.knobs.calls_per_second = 0.001
    client.detect_labels(Image=_stored(CAR))
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException) as caught:
        client.detect_labels(Image=_stored(CAR))
    assert caught.value.response["Error"]["Message"] == "Provisioned rate exceeded"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_failures(client: Any) -> None:
    rekognition.knobs.failure_rate = 1.0
    refusal = _refused(lambda: client.detect_labels(Image=_stored(CAR)))
    assert refusal == ("InternalServerError", 500)
    counted = rekognition.counts()["DetectLabels"]
    assert (counted["good"], counted["failed"], counted["paid"]) == (0, 1, {})


def test_latency_is_slept_by_calls_side_by_side(client: Any) -> None:
    client.detect_labels(Image=_stored(CAR))
    rekognition.knobs.latency_seconds, rekognition.knobs.latency_jitter = 0.4, 0.25
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.detect_labels(Image=_stored(CAR)), range(8)))
    assert 0.3 <= time.monotonic() - began < 2.0


# --- eyes --------------------------------------------------------------------------------------


def test_the_same_bytes_are_looked_at_once() -> None:
    looked = []

    def look(image: bytes) -> int:
        looked.append(image)
        time.sleep(0.05)
        return len(image)

    memory = eyes.Memory(look)
    barrier = threading.Barrier(8)

    def ask(_: int) -> int:
        barrier.wait()
        return memory(b"abc")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [3] * 8
    assert looked == [b"abc"]


def test_a_failure_to_look_is_not_remembered() -> None:
    answers: Iterator[int | Exception] = iter((OSError("no model"), 7))

    def look(image: bytes) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    memory = eyes.Memory(look)
    with pytest.raises(OSError, match="no model"):
        memory(b"abc")
    assert memory(b"abc") == 7


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "REMEMBERED", 3)
    memory = eyes.Memory(len)
    for number in range(10):
        memory(bytes(number))
    assert len(memory._seen) == 3


def test_the_calibration_goes_through_its_two_points() -> None:
    assert detector.confidence(0.48) == pytest.approx(85)
    assert detector.confidence(0.55) == pytest.approx(90)
    assert (
        0
        <= detector.confidence(0.0)
        < detector.confidence(0.23)
        < 50
        < detector.confidence(1.0)
        <= 100
    )


# --- scenes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", SAMPLES)
def test_a_scene_is_seen_as_it_was_drawn(client: Any, index: str) -> None:
    assert_seen_as_drawn(client, _stored(index), SAMPLES[index].truth)


def test_the_samples_are_of_every_kind() -> None:
    truths = [sample.truth for sample in SAMPLES.values()]
    assert {(truth.car, bool(truth.text)) for truth in truths} == {
        (car, text) for car in (True, False) for text in (True, False)
    }
    assert max(len(truth.boxes) for truth in truths) == 2
    kinds = {Image.open(io.BytesIO(sample.data)).format for sample in SAMPLES.values()}
    assert kinds == {"JPEG", "PNG"}
    assert len({sample.data for sample in SAMPLES.values()}) == len(scenes.scenes()) == 10


def test_a_seed_draws_the_same_and_another_draws_differently() -> None:
    first, again = (list(scenes.sample_images(12)) for _ in range(2))
    assert first == again
    assert [sample.index for sample in first] == [f"{n}.jpg" for n in range(1, 13)]
    assert first[10].data != first[0].data
    (other,) = scenes.sample_images(1, seed=2)
    assert other.data != first[0].data


def test_who_reads_is_told_to_nobody_and_kept_nowhere(tmp_path: Path) -> None:
    # with what says "CI" in the environment there would be nothing to see
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    code = "from sandbox.aws.rekognition import eyes; eyes.text_lines(open(0, 'rb').read())"
    sign = SAMPLES[SIGN].data
    subprocess.run([sys.executable, "-c", code], input=sign, env=environment, check=True)
    assert not [*tmp_path.rglob("*")]
