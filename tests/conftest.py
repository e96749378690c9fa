"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from sandbox.aws.server import Sandbox

# they wait more than they work, so that the others go on beside them
LONGEST = ("hosts", "infra")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: nothing is left that one process has to do alone at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def loggers_of_their_own() -> Iterator[None]:
    """A logger that is kept after its first use would say nothing to the tests that come after."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        keep_none = {"cache_logger_on_first_use": False}
        patch.setattr(structlog, "configure", lambda **given: configure(**given | keep_none))
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty AWS account on loopback."""
    from sandbox.aws.server import Sandbox  # noqa: PLC0415 - moto takes a second, unit tests need none

    with Sandbox() as running:
        yield running
