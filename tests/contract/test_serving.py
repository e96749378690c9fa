"""What is served on a person's machine is for programs there, not for the pages of a browser."""

from __future__ import annotations

import errno
import http.client
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.aws.serving import Served

REFUSED = 403, b"this is for programs on this machine, not for web pages or its neighbours\n"


def answer(_: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a picture"]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with Served(answer, "127.0.0.1", 0) as served:
        yield served.port


def asked(port: int, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/images/1.jpg", headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.test"},
        {"Host": "evil.test:4566"},
        {"Host": "127.0.0.1.evil.test"},
        {"Host": "evil.localhost.test"},
        {"Host": ""},
    ],
    ids=str,
)
def test_a_page_gets_nothing(port: int, headers: dict[str, str]) -> None:
    assert asked(port, headers) == REFUSED


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:4566"},
        {"Host": "images.localhost:4566"},
        {"Host": "[::1]:4566"},
        {"Host": "169.254.77.1"},
        {"Host": "sandbox:4566"},
        # typed into a browser by the person
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_a_program_is_answered(port: int, headers: dict[str, str]) -> None:
    assert asked(port, headers) == (200, b"a picture")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EADDRINUSE, "the port is taken: is another sandbox up?"),
        (errno.EACCES, "Permission denied: try another port"),
    ],
)
def test_why_it_cannot_listen_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("socketserver.TCPServer.server_bind", refuse)
    with pytest.raises(OSError, match=re.escape(f"cannot listen on 127.0.0.1:80, {said}")):
        Served(answer, "127.0.0.1", 80)


def test_whom_it_is_not_for_gets_nothing_either() -> None:
    with Served(answer, "127.0.0.1", 0, answers=lambda address: address != "127.0.0.1") as served:
        assert asked(served.port, {}) == REFUSED
