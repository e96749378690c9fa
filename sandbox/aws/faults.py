"""Errors on demand: what the sandbox answers instead of doing what it was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass
class Fault:
    """An error that is answered in the place of an operation.

    `operation` is a regular expression over `SQS.SendMessageBatch`, `Rekognition.DetectText` or,
    for S3, `S3.GET /bucket/key`; `times` counts down, None never ends.
    """

    operation: str
    code: str
    status: int = 400
    times: int | None = None
    message: str = ""


class Faults(list[Fault]):
    """The faults to come; the first that fits a request answers it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def before(self, app: WSGIApplication) -> WSGIApplication:
        """The application with these faults in front of it."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            fault = self._take(_operation(environ)) if self else None
            if fault is None:
                return app(environ, start_response)
            # an unread request body would be taken for the connection's next request
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            kind, body = _error(environ, fault)
            headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
            start_response(f"{fault.status} {fault.code}", headers)
            return [body]

        return answer

    def _take(self, operation: str) -> Fault | None:
        with self._lock:
            for fault in self:
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


def _error(environ: WSGIEnvironment, fault: Fault) -> tuple[str, bytes]:
    code = fault.code
    message = fault.message or f"the sandbox was told to answer {code}"
    if "HTTP_X_AMZ_TARGET" in environ:
        content = json.dumps({"__type": code, "message": message})
        return environ.get("CONTENT_TYPE", "application/x-amz-json-1.1"), content.encode()
    if environ["REQUEST_METHOD"] == "HEAD":
        return "application/xml", b""
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        # STS's protocol
        error = f"<ErrorResponse>{error}</ErrorResponse>"
    return "application/xml", error.encode()
