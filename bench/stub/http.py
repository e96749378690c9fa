"""As much of an HTTP server as an AWS client needs, and no more: every cycle is the workers'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

TRACE = (
    "x-amzn-RequestId: 01234567-89ab-cdef-0123-456789abcdef\r\n"
    "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
)


class Request(NamedTuple):
    """A request; `head` is its header block in lower case."""

    method: str
    path: str
    query: dict[str, str]
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """A header's value in lower case, "" where it is not there."""
        return _header(self.head, name)


Respond = Callable[..., None]
"""Answers a request: `respond(body, status=200, after=0.0, headers="")`, `after` in seconds."""

Handler = Callable[[Request, Respond], None]


class Connection(asyncio.Protocol):
    """One client's connection: a request, its answer, the next request."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._buffer = bytearray()
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        # a large body comes in many pieces, of which only the last is worth a look
        if len(self._buffer) < self._missing:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        line, _, rest = bytes(self._buffer[:end]).partition(b"\r\n")
        head = b"\r\n" + rest.lower() + b"\r\n"
        length = int(_header(head, "content-length") or 0)
        self._missing = end + 4 + length
        if len(self._buffer) < self._missing:
            return
        body = bytes(self._buffer[end + 4 : self._missing])
        del self._buffer[: self._missing]
        self._missing = 0
        method, target, _ = line.decode().split(" ")
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        self._handle(Request(method, unquote(url.path), query, head, body), self._respond)

    def _respond(
        self, body: bytes = b"", status: int = 200, after: float = 0.0, headers: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        if after > 0:
            loop = asyncio.get_running_loop()
            loop.call_later(after, self._transport.write, head.encode() + body)
        else:
            self._transport.write(head.encode() + body)


def _header(head: bytes, name: str) -> str:
    begin = head.find(f"\r\n{name}:".encode())
    if begin < 0:
        return ""
    begin += len(name) + 3
    return head[begin : head.find(b"\r\n", begin)].strip().decode()
