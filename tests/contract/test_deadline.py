"""Every attempt of a call ends, also where the answer never stops coming or never begins."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tenacity import wait_none

from workers.aws import deadline
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import OutageError, PassingError, StoppedError
from workers.settings import Settings
from workers.threads import stop as stopping
from workers.threads.stop import Stop

Answer = Callable[[socket.socket], None]
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 9999\r\n\r\n"
)


def trickle(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def trickle_in_the_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def hang(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Starts a server that answers everybody like this; returns its address."""
    listeners: list[socket.socket] = []

    def answer_all(listener: socket.socket, answer: Answer) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            threading.Thread(target=quietly, args=(answer, connection), daemon=True).start()

    def quietly(answer: Answer, connection: socket.socket) -> None:
        try:
            answer(connection)
        except OSError:
            connection.close()

    def start(answer: Answer) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=answer_all, args=(listener, answer), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Stop], Any]:
    """Makes one call to whoever listens there."""
    monkeypatch.setattr(deadline, "LOOK_SECONDS", 0.05)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    def make(endpoint: str, stop: Stop) -> Any:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        settings = Settings(
            bucket="photos", queue_url=f"{endpoint}/1/index", retry_seconds=0.1, _env_file=None
        )
        (sqs,) = make_clients(settings, "sqs")
        return Calls(settings, stop, backoff=wait_none()).call(
            "SQS ReceiveMessage", lambda: sqs.receive_message(QueueUrl=settings.queue_url), dict
        )

    return make


@pytest.mark.parametrize("answer", [trickle, trickle_in_the_head, hang])
def test_an_answer_that_takes_too_long_is_cut_off(
    serve: Callable[[Answer], str],
    call: Callable[[str, Stop], Any],
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadline, "ATTEMPT_SECONDS", 0.3)
    with pytest.raises((PassingError, OutageError)):
        call(serve(answer), Stop())


@pytest.mark.parametrize("answer", [trickle, hang])
def test_a_stop_cuts_it_off_sooner(
    serve: Callable[[Answer], str],
    call: Callable[[str, Stop], Any],
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "DRAIN_SECONDS", 0.3)
    stop = Stop()
    threading.Timer(0.2, stop.ask).start()
    with pytest.raises(StoppedError):
        call(serve(answer), stop)
