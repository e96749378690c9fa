"""The embedded AWS: one loopback port that every AWS client can be pointed at."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import sandbox.aws.moto  # noqa: F401 - mends it
from sandbox.aws.faults import Fault, Faults
from sandbox.aws.moto.sqs import overtaken
from sandbox.aws.rekognition.traffic import reset_counts
from sandbox.aws.serving import Served, anybody
from sandbox.aws.tls import serve_as
from sandbox.exports import no_proxy

__all__ = ["REGION", "Fault", "Sandbox"]

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
ACCESS_KEY = "sandbox"
# it keeps nothing but what it has learnt of moto's services, which takes it a while
APPLICATION = DomainDispatcherApplication(create_backend_app)
MAX_RECEIVES = 50


class Sandbox(Served):
    """moto with its gaps closed, served on loopback by a thread of this process.

    One at a time in a process, because moto keeps its state in module globals; starting one begins
    with an empty account. With `tls` it has a certificate that its `aws_environment` vouches for.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        answers: Callable[[str], bool] = anybody,
    ) -> None:
        self.faults = Faults()
        self.overtaken = overtaken
        overtaken.clear()
        self._bundle: IO[bytes] | None = None
        context = None
        if tls:
            context, authority = serve_as(host)
            self._bundle = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - lives as long
            self._bundle.write(authority)
            self._bundle.flush()
        moto_api_backend.reset()
        reset_counts()
        super().__init__(self.faults.before(APPLICATION), host, port, context, answers)
        self.endpoint = f"{'https' if tls else 'http'}://{host}:{self.port}"

    @property
    def aws_environment(self) -> dict[str, str]:
        """What points any AWS client at this sandbox."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"AWS_CA_BUNDLE": self._bundle.name} if self._bundle else {}),
        }

    def environment(self, **more: str) -> dict[str, str]:
        """A child process's whole environment: no profile, key or endpoint of the person's own."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CARTEXT_"))}
        files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        return {**own, **no_proxy(self.host), **files, **self.aws_environment, **more}

    def client(self, service: str) -> Any:
        """A boto3 client of `service` that talks to this sandbox with the administrator's key."""
        session = boto3.session.Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)
        return session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            config=Config(proxies={}),
            verify=self._bundle.name if self._bundle else None,
        )

    def create_bucket(
        self, name: str, images: Iterable[tuple[str, bytes]] = (), region: str = REGION
    ) -> str:
        """Makes a bucket and puts `images`, pairs of key and content, into it."""
        s3: S3Client = self.client("s3")
        where: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **(where if region != REGION else {}))
        for key, data in images:
            s3.put_object(Bucket=name, Key=key, Body=data)
        return name

    def create_queue(self, name: str) -> str:
        """Makes an index queue with its dead-letter queue, as Terraform does; returns its URL."""
        sqs: SQSClient = self.client("sqs")
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
        return sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})[
            "QueueUrl"
        ]
