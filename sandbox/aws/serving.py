"""A WSGI application, served by a thread of this process."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any, Self

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# an address, or a name that no name server outside gives away
LOCAL_NAME = re.compile(r"([0-9.]+|\[[0-9a-fA-F:.]+\]|[^.]+|.+\.localhost)(:[0-9]+)?")
OTHER_SITES = {"cross-site", "same-site"}


def anybody(_: str) -> bool:
    """Whoever comes to an address of this machine."""
    return True


class Served:
    """Answers from entering the context until leaving it, with `tls` where it is given.

    Whom, `answers` says by the address of who asks. Raises OSError when it cannot listen there.
    """

    def __init__(
        self,
        app: WSGIApplication,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        answers: Callable[[str], bool] = anybody,
    ) -> None:
        try:
            # werkzeug's way to say that it cannot listen: lines of its own, and an exit
            with redirect_stderr(StringIO()):
                self._server = make_server(
                    host,
                    port,
                    _guarded(app, answers),
                    threaded=True,
                    request_handler=_QuietHandler,
                    ssl_context=tls,
                )
        except SystemExit as error:
            raise OSError(f"cannot listen on {host}:{port}, {_reason(error)}") from error
        self.host = host
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        # it looks so often whether it shall end
        serve = partial(self._server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _reason(error: SystemExit) -> str:
    cause = error.__context__
    if isinstance(cause, OSError) and cause.errno != errno.EADDRINUSE:
        return f"{cause.strerror}: try another port"
    return "the port is taken: is another sandbox up?"


def _guarded(app: WSGIApplication, answers: Callable[[str], bool]) -> WSGIApplication:
    """Refuses what a web page has its browser ask for, also by a name that it has made lead here.

    No SDK sends these headers: https://w3c.github.io/webappsec-fetch-metadata
    """

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_page = "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE") in OTHER_SITES
        is_named = LOCAL_NAME.fullmatch(environ.get("HTTP_HOST", "localhost"))
        if is_page or not is_named or not answers(environ["REMOTE_ADDR"]):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this is for programs on this machine, not for web pages or its neighbours\n"]
        return app(environ, start_response)

    return guarded


class _QuietHandler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        # else an answer waits for the client's acknowledgement
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing: a line for every request would drown what the workers say."""
