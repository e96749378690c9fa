"""The embedded AWS: one loopback port that every AWS client can be pointed at."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from xml.sax.saxutils import escape

import boto3
import botocore.session
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.utilities import RegexConverter
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from sandbox import dynamodb, moto_fixes, rekognition

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
ACCESS_KEY = "sandbox"
MAX_RECEIVES = 50
# a botocore session's variable: its name in the file, its environment variable, its default, a cast
NO_FILES_OF_THE_PERSON: dict[str, Any] = {
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass
class Fault:
    """An error that the sandbox answers instead of doing what it was asked.

    `operation` is a regular expression over `SQS.SendMessageBatch`, `Rekognition.DetectText` or,
    for S3, `S3.GET /bucket/key`; `times` counts down, None never ends.
    """

    operation: str
    code: str
    status: int = 400
    times: int | None = None


class Sandbox:
    """moto with its gaps closed, served on loopback by a thread of this process.

    One at a time in a process, because moto keeps its state in module globals; starting one begins
    with an empty account.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        moto_fixes.install()
        _let_keys_have_newlines()
        rekognition.install()
        dynamodb.install()
        moto_api_backend.reset()
        rekognition.reset_counts()
        app = self._answer_faults(DomainDispatcherApplication(create_backend_app))
        try:
            self._server = make_server(
                host, port, app, threaded=True, request_handler=_QuietHandler
            )
        except SystemExit as error:  # werkzeug's way to say that the port is taken
            raise OSError(f"cannot listen on {host}:{port}: is another sandbox up?") from error
        self.host = host
        self.port = self._server.server_port
        self.endpoint = f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="sandbox", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

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
        }

    def environment(self, **more: str) -> dict[str, str]:
        """A child process's whole environment: no profile, key or endpoint of the person's own."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CARTEXT_"))}
        defaults = {
            "NO_PROXY": f"{self.host},127.0.0.1,localhost",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        environment = {**own, **defaults, **self.aws_environment, **more}
        # some clients heed the one spelling, some the other
        return {**environment, "no_proxy": environment["NO_PROXY"]}

    def client(self, service: str) -> Any:
        """A boto3 client of `service` that talks to this sandbox with the administrator's key."""
        session = boto3.session.Session(
            ACCESS_KEY,
            ACCESS_KEY,
            region_name=REGION,
            botocore_session=botocore.session.Session(NO_FILES_OF_THE_PERSON),
        )
        return session.client(  # type: ignore[call-overload]
            service, endpoint_url=self.endpoint, config=Config(proxies={})
        )

    def create_bucket(self, name: str, images: Iterable[tuple[str, bytes]] = ()) -> str:
        """Makes a bucket and puts `images`, pairs of key and content, into it."""
        s3: S3Client = self.client("s3")
        s3.create_bucket(Bucket=name)
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

    def _answer_faults(self, app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            fault = self._fault_for(_operation(environ)) if self.faults else None
            if fault is None:
                return app(environ, start_response)
            # an unread request body would be taken for the connection's next request
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            kind, body = _error(environ, fault.code)
            headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
            start_response(f"{fault.status} {fault.code}", headers)
            return [body]

        return answer

    def _fault_for(self, operation: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.operation, operation):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def _operation(environ: WSGIEnvironment) -> str:
    service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
    if not operation:
        return f"S3.{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return f"{service.removeprefix('Amazon').removesuffix('Service')}.{operation}"


def _error(environ: WSGIEnvironment, code: str) -> tuple[str, bytes]:
    message = f"the sandbox was told to answer {code}"
    if "HTTP_X_AMZ_TARGET" in environ:
        content = json.dumps({"__type": code, "message": message})
        return environ.get("CONTENT_TYPE", "application/x-amz-json-1.1"), content.encode()
    if environ["REQUEST_METHOD"] == "HEAD":
        return "application/xml", b""
    return "application/xml", (
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    ).encode()


def _let_keys_have_newlines() -> None:
    # moto's routes say `.+` for a key, and a dot is any character but the newline
    def init(self: RegexConverter, url_map: Any, *items: Any) -> None:
        super(RegexConverter, self).__init__(url_map)
        self.regex = f"(?s:{items[0]})"

    RegexConverter.__init__ = init  # type: ignore[method-assign]


class _QuietHandler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing: a line for every request would drown what the workers say."""


def shell_exports(environment: Mapping[str, str]) -> str:
    """The lines to paste into a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
