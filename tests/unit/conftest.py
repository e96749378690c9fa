"""No test here reaches a network, a person's settings or a person's credentials."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from tenacity import wait_none

from tests.unit.scene import Scene
from workers import reader
from workers.aws.calls import Calls
from workers.settings import Settings
from workers.threads.stop import Stop

MakeSettings = Callable[..., Settings]
MakeCalls = Callable[..., Calls]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("CARTEXT_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.chdir(tmp_path)
    # they are the test runner's
    monkeypatch.setattr(Stop, "on_signals", lambda _: None)

    def refuse(*_: Any) -> None:
        pytest.fail("a unit test wants to use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def said() -> list[dict[str, Any]]:
    """What is logged from here on, from `info` up, each line as its fields."""
    capture = structlog.testing.LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, capture],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return capture.entries


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.ask()


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    def make(**fields: Any) -> Settings:
        return Settings(
            **{
                "bucket": "photos",
                "queue_url": "http://queue.test/1/index",
                "state_dir": tmp_path / "state",
                "worker": "here",
                "poll_seconds": 0,
                "quota": 1e6,
                **fields,
            }
        )

    return make


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture
def make_calls(stop: Stop) -> MakeCalls:
    """Makes the policy of calls, where one is tried again at once."""

    def make(settings: Settings) -> Calls:
        return Calls(settings, stop, backoff=wait_none())

    return make


@pytest.fixture
def scene(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(reader, "DELETE_LINGER_SECONDS", 0.005)
    settings = make_settings(
        visibility_timeout=3, linger_seconds=0, retry_seconds=0.05, foreign_end_seconds=0.2
    )
    scene = Scene(settings)
    with closing(scene.ledger):
        yield scene
