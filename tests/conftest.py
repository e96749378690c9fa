"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty AWS account on loopback."""
    with Sandbox() as running:
        yield running
