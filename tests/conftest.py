"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox.aws.server import Sandbox

# they wait more than they work, so that the others go on beside them
LONGEST = ("hosts", "infra")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: nothing is left that one process has to do alone at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty AWS account on loopback."""
    from sandbox.aws.server import Sandbox  # noqa: PLC0415 - moto takes a second, unit tests need none

    with Sandbox() as running:
        yield running
