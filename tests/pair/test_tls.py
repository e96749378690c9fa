"""The pair over TLS, as in earnest, where everything else here speaks plain HTTP."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import botocore.httpsession
import pytest

from sandbox.aws.server import Sandbox
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet
from workers.aws import fast
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


def test_a_worker_reads_its_authorities_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    class Context(ssl.SSLContext):
        def load_verify_locations(self, *args: Any) -> None:
            read.append(args[0])
            super().load_verify_locations(*args)

    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)
    sandbox.create_bucket("photos", [])
    queue_url = sandbox.create_queue("index")
    monkeypatch.setattr(botocore.httpsession, "SSLContext", Context)
    # as a process begins
    monkeypatch.setattr(fast, "ssl_context", cache(fast.ssl_context.__wrapped__))
    s3, sqs = make_clients(Settings(bucket="photos", queue_url=queue_url), "s3", "sqs")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1), "1234"))
        list(pool.map(lambda _: s3.list_objects_v2(Bucket="photos"), "1234"))
    assert read == [sandbox.aws_environment["AWS_CA_BUNDLE"]]
