"""The one policy of calls: what is tried again, what never, and what a person is told."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions as botocore_errors
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.loaders import JSONFileLoader, Loader
from botocore.parsers import ResponseParserError
from botocore.session import Session
from botocore.stub import Stubber
from tenacity import wait_fixed
from urllib3.response import HTTPResponse

from tests.unit.conftest import MakeCalls, MakeSettings
from tests.unit.fakes import Scripted, client_error
from workers.aws import fast
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.aws.codes import PartlyFailedError, code_of, text_of
from workers.errors import ImageError, OutageError, PassingError, RunError, StoppedError
from workers.settings import Settings
from workers.threads.stop import Stop

URL = "http://queue.test/"
NO_RETRIES = Config(retries={"total_max_attempts": 1})

THROTTLED = [
    client_error("ProvisionedThroughputExceededException"),
    client_error("ThrottlingException"),
    client_error("SlowDown", 503),
    client_error("RequestThrottled", 403),
]
FAILING = [
    client_error("InternalServerError", 500),
    client_error("InternalError", 500),
    client_error("502", 502),
    client_error("ServiceUnavailable", 503),
    PartlyFailedError("1 of 3 entries failed"),
    botocore_errors.FlexibleChecksumError(error_msg="Expected checksum x did not match y"),
]
UNREACHABLE = [
    botocore_errors.EndpointConnectionError(endpoint_url=URL),
    botocore_errors.ConnectTimeoutError(endpoint_url=URL),
    botocore_errors.ReadTimeoutError(endpoint_url=URL),
    botocore_errors.ConnectionClosedError(endpoint_url=URL),
    botocore_errors.ResponseStreamingError(error="cut"),
    botocore_errors.IncompleteReadError(actual_bytes=3, expected_bytes=5),
    botocore_errors.CredentialRetrievalError(provider="iam-role", error_msg="no answer"),
]
ABOUT_AN_IMAGE = [
    client_error("InvalidImageFormatException"),
    client_error("ImageTooLargeException"),
    client_error("InvalidParameterException"),
    client_error("InvalidObjectState", 403),
    client_error("NoSuchKey", 404),
    client_error("PreconditionFailed", 412),
]
UNFORESEEN = [
    client_error("QuantumFluctuation"),
    client_error("HumanVerificationRequired", 403),
    # of something in between: the SDK has only the status to tell
    client_error("400"),
    client_error("403", 403),
    client_error("404", 404),
    client_error("", 418),
]


def named(errors: list[Any]) -> Any:
    return pytest.mark.parametrize("error", errors, ids=code_of)


@pytest.fixture
def impatient(
    make_settings: MakeSettings,
    stop: Stop,
    make_calls: MakeCalls,
) -> Calls:
    return make_calls(make_settings(retry_seconds=0.05))


@named(THROTTLED + FAILING + UNREACHABLE)
def test_what_may_pass_is_tried_again(
    make_settings: MakeSettings, make_calls: MakeCalls, error: Exception
) -> None:
    call = Scripted(error, error, "answer")
    assert make_calls(make_settings()).call("Some Call", call, str) == "answer"
    assert call.calls == 3


@named(ABOUT_AN_IMAGE)
def test_what_is_about_an_image_is_its_failure_and_never_tried_again(
    impatient: Calls, error: Exception
) -> None:
    call = Scripted(error, "answer")
    with pytest.raises(ImageError):
        impatient.call("Some Call", call, str, about_image=True)
    assert call.calls == 1


@named(ABOUT_AN_IMAGE)
def test_it_is_nobodys_failure_where_the_call_is_about_no_image(
    impatient: Calls, error: Exception
) -> None:
    with pytest.raises(RunError, match=f"^Some Call: {code_of(error)}: so it is$"):
        impatient.call("Some Call", Scripted(error), str)


@named(UNFORESEEN)
def test_what_nobody_has_foreseen_is_passing(impatient: Calls, error: Exception) -> None:
    """It never costs an image at the first sight of it."""
    call = Scripted(error, "answer")
    assert impatient.call("Some Call", call, str, about_image=True) == "answer"
    with pytest.raises((PassingError, OutageError)):
        impatient.call("Some Call", Scripted(error), str, about_image=True)


def not_understood(error: BaseException) -> Any:
    def read(_: Any) -> Any:
        raise error

    return read


@pytest.mark.parametrize(
    "error",
    [
        KeyError("Labels"),
        TypeError("a list"),
        AttributeError("none"),
        ValueError("no number"),
        IndexError(),
        RecursionError(),
        OverflowError(),
        ResponseParserError("HTML"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_answer_that_is_not_understood_is_asked_for_again(
    impatient: Calls, error: Exception
) -> None:
    call = Scripted("odd", "answer")
    fail = not_understood(error)
    assert impatient.call("Some Call", call, lambda a: fail(a) if a == "odd" else a) == "answer"
    assert call.calls == 2
    with pytest.raises(PassingError, match=f"MalformedError: {type(error).__name__}"):
        impatient.call("Some Call", call, not_understood(error))


@named(THROTTLED + UNREACHABLE)
def test_a_service_that_refuses_all_the_time_is_an_outage(
    impatient: Calls, error: Exception
) -> None:
    call = Scripted(error)
    with pytest.raises(OutageError, match=r"^Some Call: no answer for 0.05 s \(") as raised:
        impatient.call("Some Call", call, str)
    assert code_of(error) in str(raised.value)
    assert call.calls > 1


@named(FAILING)
def test_a_service_that_fails_all_the_time_may_do_so_for_this_request_only(
    impatient: Calls, error: Exception
) -> None:
    call = Scripted(error)
    with pytest.raises(PassingError, match=r"^Some Call failed for 0.05 s \("):
        impatient.call("Some Call", call, str)
    assert call.calls > 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            client_error("AccessDeniedException", 400, "not authorized to perform: x"),
            r"Some Call: permission denied.*not authorized to perform: x",
        ),
        (client_error("AccessDenied", 403), "permission denied"),
        (client_error("KMS.AccessDeniedException"), "permission denied"),
        (client_error("RequestTimeTooSkewed", 403), "clock is wrong .* set it and start again"),
        (client_error("AccountProblem", 403), "the account may not use this service"),
        (client_error("AuthorizationHeaderMalformed"), "set AWS_REGION to the bucket's region"),
        (client_error("PermanentRedirect", 301), "set AWS_REGION to the bucket's region"),
        (client_error("SerializationException"), "a fault of cartext's: please report it"),
        (client_error("ExpiredToken", 403), "credentials have expired; get new ones"),
        (client_error("ExpiredTokenException", 400), "credentials have expired"),
        (client_error("InvalidClientTokenId", 403), "no valid AWS credentials"),
        (client_error("UnrecognizedClientException", 400), "no valid AWS credentials"),
        (client_error("SignatureDoesNotMatch", 403), "no valid AWS credentials"),
        (botocore_errors.NoCredentialsError(), "no valid AWS credentials"),
        (client_error("NoSuchBucket", 404), "there is no bucket 'photos'; check CARTEXT_BUCKET"),
        (
            client_error("AWS.SimpleQueueService.NonExistentQueue"),
            "there is no queue http://queue.test/1/index; check CARTEXT_QUEUE_URL",
        ),
        (client_error("QueueDoesNotExist"), "there is no queue"),
        (botocore_errors.NoRegionError(), "set AWS_REGION"),
        (botocore_errors.ParamValidationError(report="a\nb"), "Some Call: .*a b"),
    ],
)
def test_what_stops_the_run_is_said_in_one_line_and_never_tried_again(
    impatient: Calls, error: Exception, told: str
) -> None:
    call = Scripted(error, "answer")
    with pytest.raises(RunError, match=told) as raised:
        impatient.call("Some Call", call, str)
    assert call.calls == 1
    assert len(str(raised.value).splitlines()) == 1


def test_it_waits_between_the_tries_and_gives_up_in_time(
    make_settings: MakeSettings,
    stop: Stop,
    make_calls: MakeCalls,
) -> None:
    call = Scripted(client_error("ThrottlingException"))
    began = time.monotonic()
    with pytest.raises(OutageError):
        Calls(make_settings(retry_seconds=0.3), stop).call("Some Call", call, str)
    assert 0.3 <= time.monotonic() - began < 3
    assert call.calls < 50


def test_the_time_without_a_share_of_the_quota_is_no_part_of_the_trying(impatient: Calls) -> None:
    def without_a_share() -> float:
        time.sleep(0.1)
        return 0.1

    def ask(turn: Callable[[], float], refusals: int) -> str:
        refused = [client_error("ThrottlingException")] * refusals
        return impatient.call("Some Call", Scripted(*refused, "answer"), str, turn=turn)

    assert ask(without_a_share, 2) == "answer"
    # nor is the time in line before the first try
    assert ask(lambda: without_a_share() * 0, 1) == "answer"
    with pytest.raises(OutageError):
        ask(lambda: without_a_share() * 0, 2)


def test_a_stop_ends_the_wait(
    make_settings: MakeSettings,
    stop: Stop,
) -> None:
    calls = Calls(make_settings(), stop, backoff=wait_fixed(20))
    threading.Timer(0.1, stop.ask).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        calls.call("Some Call", Scripted(client_error("ThrottlingException")), str)
    assert time.monotonic() - began < 5


def test_a_worker_that_stops_still_makes_a_call_once(impatient: Calls, stop: Stop) -> None:
    stop.ask()
    assert impatient.call("Some Call", Scripted("answer"), str) == "answer"
    failing = Scripted(client_error("InternalError", 500), "answer")
    with pytest.raises(StoppedError):
        impatient.call("Some Call", failing, str)
    assert failing.calls == 1


def test_a_stop_does_not_hide_what_is_wrong(impatient: Calls, stop: Stop) -> None:
    stop.ask()
    with pytest.raises(RunError):
        impatient.call("Some Call", Scripted(client_error("AccessDenied", 403)), str)


def test_what_the_worker_raises_itself_passes_through(impatient: Calls) -> None:
    with pytest.raises(StoppedError):
        impatient.call("Some Call", Scripted(StoppedError()), str)
    with pytest.raises(ZeroDivisionError):
        impatient.call("Some Call", Scripted(ZeroDivisionError()), str)


@pytest.mark.parametrize(
    "error",
    [
        {"service_error_code": "ThrottlingException", "http_status_code": 400},
        {"service_error_code": "InternalFailure", "http_status_code": 500},
    ],
)
def test_the_sdk_itself_tries_nothing_again(settings: Settings, error: dict[str, Any]) -> None:
    services = ("sqs", "s3", "rekognition")
    operations = ("receive_message", "list_objects_v2", "detect_text")
    for client, operation in zip(make_clients(settings, *services), operations, strict=True):
        with Stubber(client) as stub:
            stub.add_client_error(operation, **error)
            stub.add_response(operation, {})
            with pytest.raises(botocore_errors.ClientError):
                getattr(client, operation)(
                    **{
                        "receive_message": {"QueueUrl": URL},
                        "list_objects_v2": {"Bucket": "photos"},
                        "detect_text": {"Image": {"Bytes": b"x"}},
                    }[operation]
                )


def test_every_client_leaves_retries_to_the_worker_and_has_a_connection_for_each_thread(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(in_flight=100, poll_seconds=20)
    for client in make_clients(settings, "s3", "sqs", "rekognition"):
        config: Config = client.meta.config
        assert config.retries["total_max_attempts"] == 1
        assert config.max_pool_connections >= 100
        assert config.read_timeout > 20


@pytest.mark.parametrize("service", ["s3", "sqs", "rekognition", "dynamodb", "sns", "cloudwatch"])
def test_a_service_is_known_as_the_sdk_knows_it(settings: Settings, service: str) -> None:
    (ours,), plain = make_clients(settings, service), Session().create_client(service)
    assert ours.meta.service_model.operation_names == plain.meta.service_model.operation_names
    assert ours.meta.endpoint_url == plain.meta.endpoint_url
    folder = Path(Loader.BUILTIN_DATA_PATH) / service
    files = {str(file).partition(".json")[0] for file in folder.rglob("*.json*")}
    assert files
    for file in files:
        assert fast.Files().load_file(file) == JSONFileLoader().load_file(file)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("{}")
    for file in ("other", "file.json/other"):
        assert fast.Files().load_file(str(tmp_path / file)) is None


@pytest.mark.parametrize("image", [{"Bytes": b"\xff\xd8" * 5000}, {"S3Object": {"Name": "a.jpg"}}])
def test_an_image_is_sent_as_the_sdk_would_send_it(
    settings: Settings, image: dict[str, Any]
) -> None:
    (ours,), plain = (
        make_clients(settings, "rekognition"),
        boto3.client("rekognition", config=NO_RETRIES),
    )
    labels = {"Image": image, "MaxLabels": 3}
    assert sent(ours, "detect_labels", labels) == sent(plain, "detect_labels", labels)
    text = {"Image": image}
    assert sent(ours, "detect_text", text) == sent(plain, "detect_text", text)


def sent(client: Any, operation: str, parameters: dict[str, Any]) -> bytes:
    """The body of the request that the client would make."""
    bodies: list[bytes] = []

    def catch(request: Any, **_: Any) -> None:
        bodies.append(request.body)
        raise ConnectionAbortedError

    client.meta.events.register("before-send.rekognition", catch)
    with pytest.raises(ConnectionAbortedError):
        getattr(client, operation)(**parameters)
    client.meta.events.unregister("before-send.rekognition", catch)
    return bodies[0]


ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;ab&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
HEAD = "<EncodingType>url</EncodingType><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"


@pytest.mark.parametrize("space", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
@pytest.mark.parametrize(
    "entries",
    [
        ENTRY.format("1.jpg") + ENTRY.format("a%0A%2B+%C3%BC%F0%9F%98%80&amp;%26.jpg"),
        ENTRY.format(""),
        "",
    ],
)
def test_a_page_is_read_as_the_sdk_reads_it(settings: Settings, space: str, entries: str) -> None:
    token = "<NextContinuationToken>a&amp;b</NextContinuationToken>"
    page = f"<ListBucketResult{space}>{HEAD}{entries}{token}</ListBucketResult>".encode()
    (ours,), plain = make_clients(settings, "s3"), boto3.client("s3", config=NO_RETRIES)
    expected = listed(plain, page)
    for entry in expected.get("Contents", []):
        # what nobody reads
        del entry["LastModified"], entry["StorageClass"]
    assert listed(ours, page) == expected


@pytest.mark.parametrize(
    "page",
    [
        b"<ListBucketResult><Contents><Key>1.jpg</Key>",
        b"<ListBucketResult><Contents><Key>1.jpg</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>",
        b"<html>",
    ],
)
def test_a_page_that_cannot_be_read_is_tried_again(
    settings: Settings, impatient: Calls, page: bytes
) -> None:
    (ours,) = make_clients(settings, "s3")
    with pytest.raises(PassingError, match="Some Call"):
        impatient.call("Some Call", lambda: listed(ours, page), dict)


def listed(client: Any, page: bytes) -> Any:
    """What the client makes of a page of a listing."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        headers = HeadersDict({"content-length": str(len(page))})
        return AWSResponse(
            request.url, 200, headers, HTTPResponse(io.BytesIO(page), preload_content=False)
        )

    client.meta.events.register("before-send.s3", answer)
    found = client.list_objects_v2(Bucket="photos")
    client.meta.events.unregister("before-send.s3", answer)
    del found["ResponseMetadata"]
    return found


@pytest.mark.parametrize(
    "head",
    [
        "",
        'Content-Type: text/xml\r\nContent-Length:  12 \r\netag:\t"ab"\r\n',
        "X-Twice: 1\r\nx-twice: 2\r\nEmpty:\r\nColons: a:b: c\r\n",
        "Folded: one\r\n two\r\nNext: three\r\n",
        "Next: \u00e9\x85\x1c \r\nMore: \x0b\r\n",
        "Name : with a space\r\n",
        "no colon\r\nNext: three\r\n",
        ": no name\r\nNext: three\r\n",
        "Bare: feed\nNext: three\n",
    ],
)
def test_headers_are_read_as_the_standard_library_reads_them(head: str) -> None:
    raw = head.encode("latin-1") + b"\r\nbody"

    theirs, ours = (read(io.BytesIO(raw)) for read in (fast._as_a_mail, fast.parse_headers))

    assert ours.items() == theirs.items()
    assert [*map(repr, ours.defects)] == [*map(repr, theirs.defects)]
    assert [ours.get_all(name) for name in ours] == [theirs.get_all(name) for name in theirs]


def test_a_header_is_found_in_any_case_and_told_as_it_came(settings: Settings) -> None:
    make_clients(settings, "s3")
    headers = HeadersDict({"ETag": "1", "x-amz-Id": "2"})

    headers["etag"] = "3"

    assert (headers["ETAG"], headers.get("X-Amz-Id"), "e-tag" in headers) == ("3", "2", False)
    assert [*HeadersDict(headers)] == [*headers] == ["ETag", "x-amz-Id"]


def test_the_region_is_that_of_the_environment(settings: Settings) -> None:
    (client,) = make_clients(settings, "s3")
    assert client.meta.region_name == "us-east-1"


def test_without_a_region_it_says_what_to_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(RunError, match="set AWS_REGION"):
        make_clients(settings, "s3")


def test_without_a_login_it_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(RunError, match=r"no valid AWS credentials .*log in and start again"):
        make_clients(settings, "s3")


def test_an_instance_waits_for_the_login_of_its_metadata_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be late at a boot: systemd starts the worker again."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254/")
    with pytest.raises(OutageError, match="has no credentials yet"):
        make_clients(settings, "s3")


def test_a_profile_that_is_not_there_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-it")
    with pytest.raises(RunError, match="nobody-has-it"):
        make_clients(settings, "s3")


def test_an_endpoint_that_is_none_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(RunError, match="nonsense"):
        make_clients(settings, "s3")


def test_an_error_message_is_one_line() -> None:
    error = client_error("Strange", 400, "two\n  lines")
    assert text_of(error) == "two lines"


def test_the_region_of_every_other_client_holds_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    settings = Settings(bucket="photos", queue_url="http://127.0.0.1/1/index")
    (client,) = make_clients(settings, "s3")
    assert client.meta.region_name == "eu-west-1"


def test_a_region_without_rekognition_is_refused_with_those_that_have_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    with pytest.raises(RunError, match=r"no Rekognition in eu-north-1.*AWS_REGION.* eu-west-1, "):
        make_clients(settings, "s3", "rekognition")
    assert make_clients(settings, "s3"), "where nobody asks it, it need not be there"


def test_a_region_whose_rekognition_looks_at_faces_only_has_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "ca-central-1")
    with pytest.raises(
        RunError, match=r"no Rekognition in ca-central-1 that finds labels and text"
    ):
        make_clients(settings, "rekognition")


def test_an_endpoint_of_somebodys_own_is_believed_in_any_region(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_REKOGNITION", "http://127.0.0.1:9")
    (client,) = make_clients(settings, "rekognition")
    assert client.meta.region_name == "eu-north-1"


@pytest.mark.parametrize(
    ("region", "has_it"), [("us-gov-west-1", True), ("us-gov-east-1", False), ("cn-north-1", False)]
)
def test_other_partitions_have_regions_of_their_own(
    region: str, has_it: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    if has_it:
        make_clients(settings, "rekognition")
        return
    with pytest.raises(RunError, match=f"no Rekognition in {region}"):
        make_clients(settings, "rekognition")


def test_a_region_that_nobody_knows_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "mars-1")
    with pytest.raises(RunError, match="mars-1"):
        make_clients(settings, "rekognition")
