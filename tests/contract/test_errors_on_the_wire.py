"""Every error that a service may send has its meaning, in each protocol; none ends as a bug."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import exceptions
from tenacity import wait_none

from sandbox.aws.server import Fault, Sandbox
from tests.contract.conftest import settings
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.aws.meaning import TABLE, Meaning
from workers.errors import OutageError, PassingError, RunError, WorkerError
from workers.threads.stop import Stop

ENDS_AS = {Meaning.PASSING: PassingError, Meaning.OUTAGE: OutageError}
MEANINGS = {
    code: row.meaning
    for row in TABLE
    for code in row.codes
    if re.fullmatch(r"[A-Z][\w.]+", code) and not hasattr(exceptions, code)
}
REQUESTS: dict[str, Callable[[Any], Any]] = {
    "s3": lambda s3: s3.get_object(Bucket="photos", Key="1.jpg"),
    "sqs": lambda sqs: sqs.receive_message(QueueUrl="http://queue.test/1/index"),
    "rekognition": lambda rekognition: rekognition.detect_text(Image={"Bytes": b"x"}),
    "dynamodb": lambda dynamodb: dynamodb.get_item(TableName="t", Key={"pk": {"S": "1"}}),
    "sts": lambda sts: sts.get_caller_identity(),
}
Call = Callable[[Fault], WorkerError]


@pytest.fixture(autouse=True)
def judge() -> None:
    """Nobody judges here: what is answered is wrong on purpose."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=REQUESTS)
def error_of(
    request: pytest.FixtureRequest, aws: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Call]:
    """What a call of each service ends with that this fault answers."""
    for name, value in aws.aws_environment.items():
        monkeypatch.setenv(name, value)
    (client,) = make_clients(settings(), request.param)
    calls = Calls(settings(retry_seconds=0.001), Stop(), wait_none())

    def call(fault: Fault) -> WorkerError:
        aws.faults.append(fault)
        with pytest.raises(WorkerError) as caught:
            calls.call("The Call", lambda: REQUESTS[request.param](client), dict)
        aws.faults.clear()
        assert "\n" not in str(caught.value)
        return caught.value

    yield call
    aws.faults.clear()


def test_every_code_of_the_table_has_its_meaning_in_every_protocol(error_of: Call) -> None:
    for code, meaning in MEANINGS.items():
        error = error_of(Fault(".", code, 403))
        assert type(error) is ENDS_AS.get(meaning, RunError), (code, error)


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("ExpiredToken", "", "the AWS credentials have expired; get new ones"),
        ("ExpiredTokenException", "", "the AWS credentials have expired; get new ones"),
        ("RequestTimeTooSkewed", "", "this machine's clock is wrong"),
        ("RequestExpired", "", "this machine's clock is wrong"),
        ("AccessDenied", "explicit deny: voc-cancel-cred", "the lab's session has ended"),
        (
            "AccessDeniedException",
            "explicit deny: voc-cancel-cred",
            "the lab's session has ended",
        ),
    ],
)
def test_temporary_credentials_have_their_own_lines(
    error_of: Call, code: str, message: str, told: str
) -> None:
    error = error_of(Fault(".", code, 403, message=message))
    assert isinstance(error, RunError)
    assert told in str(error)


@pytest.mark.parametrize("status", [400, 403, 404, 418, 429, 500, 502, 503])
def test_an_error_without_a_code_is_passing(error_of: Call, status: int) -> None:
    assert isinstance(error_of(Fault(".", "", status)), PassingError | OutageError)


ANSWERS = {
    "a page": b"<html><body>Please <b>log in</b> to the hotel's network</body></html>",
    "another protocol's error": b"<Error><Code>AccessDenied</Code></Error>",
    "nothing": b"",
}


@pytest.mark.parametrize("body", ANSWERS)
@pytest.mark.parametrize("status", [400, 403, 500])
def test_what_answers_in_the_services_place_is_no_bug(
    error_of: Call, status: int, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.aws.faults._error", lambda *_: ("text/html", ANSWERS[body]))
    assert error_of(Fault(".", "", status))
