"""The objects of any S3: an emulator's, or AWS's own."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from sandbox.aws.rekognition.images import check_weight
from sandbox.aws.rekognition.refusals import internal_error, unable_to_get
from sandbox.errors import SandboxError
from workers.aws.clients import stay_in_the_region

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=64,
)
LOOPBACK = re.compile(r"127\.[0-9.]+|::1|(.+\.)?localhost")


class Objects:
    """What the login of this process's environment may read at an endpoint, None for the SDK's.

    Each object that cannot be had is told on standard error with S3's own reason, which
    Rekognition keeps to itself.
    """

    def __init__(self, endpoint: str | None) -> None:
        try:
            # boto3 alone of AWS's clients looks for AWS_DEFAULT_REGION only
            session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
            if not session.region_name:
                raise SandboxError("no region: set AWS_REGION to the bucket's, e.g. us-east-1")
            client = partial(session.client, "s3", endpoint_url=endpoint)
            self._s3: S3Client = client(config=CONFIG)
            # no proxy reaches this machine; which one is meant, the environment may say
            if LOOPBACK.fullmatch(urlsplit(self._s3.meta.endpoint_url).hostname or ""):
                self._s3 = client(config=CONFIG.merge(Config(proxies={})))
        except (BotoCoreError, ValueError) as error:
            raise SandboxError(str(error)) from error
        self._s3.meta.events.register_first("needs-retry.s3", stay_in_the_region)
        self.endpoint = self._s3.meta.endpoint_url

    def check(self) -> None:
        """Raises SandboxError when S3 cannot be asked."""
        try:
            self._s3.list_buckets(MaxBuckets=1)
        except ClientError as error:
            # objects may be read by who may not list the buckets
            if error.response["Error"]["Code"] != "AccessDenied":
                raise SandboxError(
                    f"{self.endpoint} does not answer as S3 ({error}): is it one, and is the login "
                    "(AWS_ACCESS_KEY_ID …) right for it?"
                ) from error
        except NoCredentialsError as error:
            raise SandboxError(
                "no login for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; most emulators "
                "take any"
            ) from error
        except BotoCoreError as error:
            raise SandboxError(
                f"no S3 at {self.endpoint} ({error}): start it, or give another --s3"
            ) from error

    def __call__(self, where: dict[str, Any]) -> bytes:
        """The content of an `S3Object`. Raises Refusal."""
        named = {"Bucket": where["Bucket"], "Key": where["Name"]}
        if "Version" in where:
            named["VersionId"] = where["Version"]
        try:
            found = self._s3.get_object(**named)
            check_weight(found["ContentLength"])
            return found["Body"].read()
        except (BotoCoreError, ClientError) as error:
            print(f"rekognition: {named}: {error}", file=sys.stderr, flush=True)
            answer = error.response["ResponseMetadata"] if isinstance(error, ClientError) else None
            # else it is about the object
            if answer is None or answer["HTTPStatusCode"] >= 500:
                raise internal_error(f"S3 at {self.endpoint}: {error}") from error
            raise unable_to_get() from error
