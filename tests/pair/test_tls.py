"""The pair over TLS, as in earnest, where everything else here speaks plain HTTP."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.httpsession
import pytest

from sandbox.aws.server import Sandbox
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet
from workers.aws.clients import make_clients
from workers.settings import Settings


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(tls=True) as running:
        yield running


def test_a_whole_run(
    fleet: Fleet, samples: list[Sample], truth: Callable[[Sample], str | None]
) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [(s.index, s.data) for s in samples])
    assert fleet.queue.startswith("https://")
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    lines = [f"{s.index}: {line}\n" for s in samples if (line := truth(s))]
    assert fleet.output() == "".join(lines)


def test_who_does_not_trust_its_certificate_is_told(
    fleet: Fleet, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [(s.index, s.data) for s in samples])
    monkeypatch.setattr(fleet.sandbox, "_bundle", None)
    worker = fleet.start("label", retry_seconds=1)
    assert worker.wait() == 75
    assert "CERTIFICATE_VERIFY_FAILED" in worker.last("stopped")["reason"]


def test_a_client_reads_its_authorities_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    class Context(ssl.SSLContext):
        def load_verify_locations(self, *args: Any) -> None:
            read.append(args[0])
            super().load_verify_locations(*args)

    monkeypatch.setattr(botocore.httpsession, "SSLContext", Context)
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    queue_url = sandbox.create_queue("index")
    (sqs,) = make_clients(Settings(bucket="photos", queue_url=queue_url), "sqs")
    read.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1), "1234"))
    assert read == [sandbox.aws_environment["AWS_CA_BUNDLE"]]
