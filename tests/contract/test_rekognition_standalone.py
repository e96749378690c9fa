"""The Rekognition that looks in front of other emulators, and the command that puts it there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws.rekognition.s3 import Objects
from sandbox.aws.rekognition.standalone import application
from sandbox.aws.server import Fault, Sandbox
from sandbox.aws.serving import Served
from tests.contract.drawn import SAMPLES, assert_seen_as_drawn
from tests.contract.ministack import Ministack
from tests.contract.moto_server import MotoServer
from tests.unit.schemas import read_json

ROOT = Path(__file__).resolve().parents[2]
BUCKET, CAR, SIGN, SHOP = "photos", "1.jpg", "4.jpg", "10.jpg"
SECONDS = 60
# no checks before the request is sent: the service itself shall answer
BARE = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


@contextmanager
def in_front_of(aws: Sandbox) -> Iterator[Any]:
    """A client of a Rekognition that has its objects from there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.aws_environment.items():
            patch.setenv(name, value)
        with Served(application(Objects(aws.endpoint)), "127.0.0.1", 0) as served:
            yield client_of(f"http://127.0.0.1:{served.port}")


def client_of(endpoint: str) -> Any:
    return boto3.client(
        "rekognition",
        region_name="us-east-1",
        # another login than S3's
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
        endpoint_url=endpoint,
        config=BARE,
    )


EMULATORS = {"moto's server": MotoServer, "ministack": Ministack}


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Sandbox]]:
    with ExitStack() as stack:
        started = {name: stack.enter_context(kind()) for name, kind in EMULATORS.items()}
        for aws in started.values():
            aws.create_bucket(BUCKET, ((sample.index, sample.data) for sample in SAMPLES.values()))
        yield started


@pytest.fixture(params=EMULATORS)
def emulator(request: pytest.FixtureRequest, emulators: dict[str, Sandbox]) -> Sandbox:
    return emulators[request.param]


@pytest.fixture
def client(emulator: Sandbox) -> Iterator[Any]:
    with in_front_of(emulator) as client:
        yield client


def stored(index: str, bucket: str = BUCKET, **more: str) -> dict[str, Any]:
    return {"S3Object": {"Bucket": bucket, "Name": index, **more}}


def said(client: Any, image: dict[str, Any]) -> list[Any]:
    labels = client.detect_labels(Image=image, MinConfidence=0)
    text = client.detect_text(Image=image)
    return [{**answer, "ResponseMetadata": None} for answer in (labels, text)]


def refused(client: Any, image: dict[str, Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        client.detect_labels(Image=image)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# --- what it sees ------------------------------------------------------------------------------


def test_every_door_says_the_same(emulators: dict[str, Sandbox], moto: Sandbox) -> None:
    """Those in front of the emulators say what the sandbox's own does, which sees what is drawn."""
    moto.create_bucket(BUCKET, ((sample.index, sample.data) for sample in SAMPLES.values()))
    own = moto.client("rekognition")
    seen = {index: said(own, stored(index)) for index in SAMPLES}
    assert len({json.dumps(answer) for answer in seen.values()}) == len(SAMPLES)
    for aws in emulators.values():
        with in_front_of(aws) as client:
            for index, sample in SAMPLES.items():
                assert said(client, stored(index)) == seen[index], index
                assert said(client, {"Bytes": sample.data}) == seen[index], index


def test_an_older_version_of_an_object(emulator: Sandbox, client: Any) -> None:
    s3 = emulator.client("s3")
    emulator.create_bucket("versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="versions", Key=CAR, Body=SAMPLES[CAR].data)["VersionId"]
    s3.put_object(Bucket="versions", Key=CAR, Body=SAMPLES[SIGN].data)
    assert_seen_as_drawn(client, stored(CAR, "versions"), SAMPLES[SIGN].truth)
    assert_seen_as_drawn(client, stored(CAR, "versions", Version=old), SAMPLES[CAR].truth)


def test_a_key_is_taken_letter_by_letter(emulator: Sandbox, client: Any) -> None:
    key = "my car/été 🚗 %20+#?.jpg"
    emulator.client("s3").put_object(Bucket=BUCKET, Key=key, Body=SAMPLES[CAR].data)
    assert_seen_as_drawn(client, stored(key), SAMPLES[CAR].truth)


# --- what it refuses ---------------------------------------------------------------------------


def test_an_object_that_cannot_be_had(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    unable = "Unable to get object metadata from S3."
    for image in (stored("none.jpg"), stored(CAR, "no-such-bucket"), stored(CAR, Version="none")):
        with pytest.raises(client.exceptions.InvalidS3ObjectException, match=unable):
            client.detect_text(Image=image)
        # what Rekognition hides is told to the person beside it
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("rekognition: {'Bucket': ")


def test_weight(emulator: Sandbox, client: Any) -> None:
    most = 15 * 1024 * 1024
    for size, code in ((most, None), (most + 1, "ImageTooLargeException")):
        data = SAMPLES[CAR].data.ljust(size, b"\0")
        emulator.client("s3").put_object(Bucket=BUCKET, Key="fat.jpg", Body=data)
        if code:
            assert refused(client, stored("fat.jpg")) == (code, 400)
        else:
            assert client.detect_labels(Image=stored("fat.jpg"))["Labels"]
    padded = SAMPLES[CAR].data.ljust(5 * 1024 * 1024 + 1, b"\0")
    assert refused(client, {"Bytes": padded}) == ("ValidationException", 400)


def test_what_is_no_picture(emulator: Sandbox, client: Any) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key="notes.jpg", Body=b"milk, bread")
    for image in (stored("notes.jpg"), {"Bytes": b"milk, bread"}):
        assert refused(client, image) == ("InvalidImageFormatException", 400)
    assert refused(client, {}) == ("InvalidParameterException", 400)
    assert refused(client, {"S3Object": {"Name": CAR}}) == ("InvalidParameterException", 400)


def test_what_it_cannot_do_is_not_tried_again(client: Any, judge: Any) -> None:
    with pytest.raises(ClientError, match="DetectLabels and DetectText only") as caught:
        client.detect_faces(Image={"Bytes": SAMPLES[CAR].data})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    # it is the double's word, not AWS's
    judge.problems.clear()


def test_a_bucket_elsewhere_is_refused(moto: Sandbox) -> None:
    moto.create_bucket("abroad", [(CAR, SAMPLES[CAR].data)], "eu-west-1")
    with in_front_of(moto) as client:
        assert refused(client, stored(CAR, "abroad")) == ("InvalidS3ObjectException", 400)


def test_an_s3_that_fails_is_not_the_images_fault(moto: Sandbox) -> None:
    moto.create_bucket(BUCKET, [(CAR, SAMPLES[CAR].data)])
    with in_front_of(moto) as client:
        moto.faults.append(Fault("S3.GET", "InternalError", 500))
        assert refused(client, stored(CAR)) == ("InternalServerError", 500)
        moto.faults.clear()
        moto.faults.append(Fault("S3.GET", "AccessDenied", 403))
        assert refused(client, stored(CAR)) == ("InvalidS3ObjectException", 400)
        moto.faults.clear()
        assert client.detect_labels(Image=stored(CAR))["Labels"]


def test_an_s3_that_is_gone_is_not_the_images_fault() -> None:
    with Sandbox() as gone, in_front_of(gone) as client:
        gone.create_bucket(BUCKET, [(CAR, SAMPLES[CAR].data)])
        assert client.detect_labels(Image=stored(CAR))["Labels"]
        gone._server.server_close()
        gone._server.shutdown()
        assert refused(client, stored(CAR)) == ("InternalServerError", 500)


# --- the command -------------------------------------------------------------------------------


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command with some flags and variables; whatever is left of it is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: object, **environment: str) -> subprocess.Popen[str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        login = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.aws.rekognition", *map(str, flags)],
            cwd=ROOT,
            env={**own, "AWS_EC2_METADATA_DISABLED": "true", **files, **login, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def one_line(start: Start) -> Callable[..., str]:
    """What it says when it cannot begin."""

    def one_line(*flags: object, **environment: str) -> str:
        process = start(*flags, **environment)
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out) == (78, "")
        (line,) = err.splitlines()
        return line

    return one_line


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(moto: Sandbox, start: Start, ending: signal.Signals) -> None:
    moto.create_bucket(BUCKET, [(CAR, SAMPLES[CAR].data)])
    process = start("--s3", moto.endpoint, "--json", "--calls-per-second", "0.001")
    assert process.stdout
    told = read_json("rekognition", process.stdout.readline())
    assert told["s3"] == moto.endpoint
    client = client_of(told["endpoint"])
    assert_seen_as_drawn(client, stored(CAR), SAMPLES[CAR].truth)
    assert refused(client, stored(CAR)) == ("ProvisionedThroughputExceededException", 400)
    process.send_signal(ending)
    assert process.communicate(timeout=SECONDS) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_it_asks_that_s3_and_no_proxy_on_the_way_to_it(
    moto: Sandbox, start: Start, by: str
) -> None:
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    proxy |= {"NO_PROXY": "example.com", "no_proxy": "example.com"}
    if by == "flag":
        process = start("--s3", moto.endpoint, **proxy)
    else:
        process = start(AWS_ENDPOINT_URL=moto.endpoint, **proxy)
    assert process.stdout
    lines = [process.stdout.readline().rstrip() for _ in range(5)]
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert f"with the objects of {moto.endpoint}, until Ctrl-C." in lines[0]
    assert lines[2].startswith("export AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:")
    assert lines[3:] == [f"export {name}=127.0.0.1,localhost" for name in ("NO_PROXY", "no_proxy")]


def test_it_says_why_it_cannot_start(moto: Sandbox, one_line: Callable[..., str]) -> None:
    here = ("--s3", moto.endpoint)
    assert one_line(*here, "--port", moto.port).startswith(
        f"rekognition: cannot listen on 127.0.0.1:{moto.port}, the port is taken"
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        line = one_line("--s3", nowhere)
    assert line.startswith(f"rekognition: no S3 at {nowhere} (")
    assert line.endswith(": start it, or give another --s3")
    assert "no login for S3: " in one_line(*here, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "no region: set AWS_REGION" in one_line(*here, AWS_REGION="")
    nobody = one_line(*here, AWS_PROFILE="nobody-has-it")
    assert nobody == "rekognition: The config profile (nobody-has-it) could not be found"


def test_what_is_no_s3_is_said(one_line: Callable[..., str]) -> None:
    with Served(lambda *_: [], "127.0.0.1", 0) as other:
        line = one_line("--s3", f"http://127.0.0.1:{other.port}")
    assert f"http://127.0.0.1:{other.port}" in line


def test_who_may_not_list_the_buckets_may_read_objects(moto: Sandbox) -> None:
    moto.faults.append(Fault("S3.GET /$", "AccessDenied", 403))
    with in_front_of(moto):
        Objects(moto.endpoint).check()


def test_an_address_that_is_none_is_refused(start: Start) -> None:
    process = start("--s3", "127.0.0.1:4566")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert err.endswith("'127.0.0.1:4566' is not like http://127.0.0.1:4566\n")


def test_help_has_an_example(start: Start) -> None:
    process = start("--help")
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "\n  cartext rekognition --s3 http://127.0.0.1:4566 --port 4567\n" in out
    assert "exit status:" in out
