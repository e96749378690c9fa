"""The Rekognition that looks on a port of its own, with the objects of somebody else's S3."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import TYPE_CHECKING, NoReturn

from werkzeug.wrappers import Request, Response

from sandbox import persons_environment
from sandbox.aws.rekognition import eyes, service
from sandbox.aws.rekognition.images import ReadObject
from sandbox.aws.rekognition.refusals import Refusal
from sandbox.aws.rekognition.s3 import Objects
from sandbox.aws.serving import Served
from sandbox.exports import past_proxies, shell_exports

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

TARGETS = {f"RekognitionService.{operation}": operation for operation in service.OPERATIONS}
LACKING = Refusal(
    "NotImplemented", f"this Rekognition has {' and '.join(service.OPERATIONS)} only", 501
)


def application(read_object: ReadObject) -> WSGIApplication:
    """Answers what an SDK sends to Rekognition, whoever has signed it."""

    @Request.application
    def answer(request: Request) -> Response:
        # an unread body would be taken for the connection's next request
        body = request.get_data(as_text=True)
        operation = TARGETS.get(request.headers.get("X-Amz-Target", ""))
        if operation is None:
            status, said = LACKING.status, json.dumps(LACKING.body)
        else:
            status, said = service.answer(operation, body, read_object)
        return Response(said, status, content_type=service.CONTENT_TYPE)

    return answer


def serve(options: argparse.Namespace) -> NoReturn:
    """Serves until a signal; raises SandboxError or OSError when it cannot begin."""
    # for S3 the person's own counts; what stumbles over it is imported
    own = persons_environment()
    os.environ.clear()
    os.environ.update(own)
    objects = Objects(options.s3)
    objects.check()
    with Served(application(objects), "127.0.0.1", options.port) as served:
        eyes.warm_up()
        service.knobs.turn(options)
        _say(f"http://{served.host}:{served.port}", objects.endpoint, options.json)
        while True:
            time.sleep(3600)


def _say(endpoint: str, s3: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": 1, "endpoint": endpoint, "s3": s3}), flush=True)
        return
    print(f"# Rekognition on this machine, with the objects of {s3}, until Ctrl-C.")
    print("# Paste this into other terminals:")
    print(shell_exports({"AWS_ENDPOINT_URL_REKOGNITION": endpoint, **past_proxies()}), flush=True)
