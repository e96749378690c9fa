"""What all tests share."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import botocore.session
import hypothesis
import pytest
import structlog

from sandbox.exports import past_proxies

if TYPE_CHECKING:
    from sandbox.aws.server import Sandbox

# what takes long here says nothing of the code; those that were found once stand as examples
hypothesis.settings.register_profile("untimed", deadline=None, max_examples=50)
# it is enough to find what is broken, and not the smallest way to it
hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    max_examples=20,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("untimed")

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


@pytest.fixture(autouse=True, scope="session")
def past_the_proxy() -> Iterator[None]:
    """What the tests ask is on this machine, which a proxy of the person's cannot reach."""
    with pytest.MonkeyPatch.context() as patch:
        for name, here in past_proxies().items():
            patch.setenv(name, ",".join(filter(None, (here, os.environ.get(name)))))
        yield


@pytest.fixture(scope="session", autouse=True)
def loader() -> Iterator[None]:
    """The SDK's models are read once: that is most of what a client costs, and tests make many."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(botocore.session.create_loader)
        patch.setattr(botocore.session, "create_loader", once)
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty AWS account on loopback."""
    from sandbox.aws.server import Sandbox  # noqa: PLC0415 - moto takes a second, unit tests need none

    with Sandbox() as running:
        yield running
