"""The one place that makes AWS clients."""

from __future__ import annotations

import os
from http.client import NO_CONTENT
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
)

from workers.aws import fast
from workers.aws.codes import translated
from workers.aws.deadline import watch_connections
from workers.aws.regions import check_region
from workers.errors import RunError
from workers.settings import Settings

REDIRECTS = (301, 307, 308)
ELSEWHERE = "AuthorizationHeaderMalformed"


def make_clients(settings: Settings, *services: str) -> Any:
    """Makes a client of each service, in this order.

    Raises RunError without a region or a login, or where the region has no Rekognition.
    """
    config = Config(
        # every call goes by the one policy of workers.aws.calls
        retries={"total_max_attempts": 1},
        max_pool_connections=settings.slots + 16,
        connect_timeout=5,
        read_timeout=max(30, settings.poll_seconds + 10),
        tcp_keepalive=True,
        **fast.CONFIG,
    )
    try:
        watch_connections()
        sdk = botocore.session.Session()
        fast.speed_up(sdk, *services)
        sdk.register("before-parse", _refuse_a_part)
        # boto3 alone of AWS's clients looks for AWS_DEFAULT_REGION only
        region = os.environ.get("AWS_REGION")
        session: Any = boto3.session.Session(botocore_session=sdk, region_name=region)
        if not session.region_name:
            # S3 alone would do without, in a region of its own choice
            raise NoRegionError
        if session.get_credentials() is None:
            # a client that is made without would never look for them again
            raise NoCredentialsError
        clients = {service: session.client(service, config=config) for service in services}
        if "s3" in clients:
            clients["s3"].meta.events.register_first("needs-retry.s3", stay_in_the_region)
        if "rekognition" in clients:
            check_region(sdk, clients["rekognition"])
        return [*clients.values()]
    except ValueError as error:
        raise RunError(f"AWS: {error}") from error
    except BotoCoreError as error:
        raise translated(error, "AWS", settings, about_image=False) from error


def stay_in_the_region(response: Any, operation: Any, **_: Any) -> None:
    """The SDK would follow a bucket into another region, where Rekognition does not."""
    if response is None:
        return
    answer, said = response
    if answer.status_code in REDIRECTS or said.get("Error", {}).get("Code") == ELSEWHERE:
        raise ClientError(said, operation.name)


def _refuse_a_part(**event: Any) -> None:
    """The SDK takes an answer that is cut short for one that has nothing to say."""
    answer = event["response_dict"]
    body, headers = answer["body"], answer["headers"]
    # a streamed body minds its length by itself, a chunked one has its end
    if not isinstance(body, bytes) or "transfer-encoding" in headers:
        return
    length = headers.get("content-length", 0 if answer["status_code"] == NO_CONTENT else None)
    if length is None or len(body) != int(length):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=length)
