"""The pair over TLS, as in earnest, where everything else here speaks plain HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox.aws.server import Sandbox
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet


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
