"""The parts of who works alone."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from tests.unit.conftest import MakeCalls
from tests.unit.fakes import FakeS3
from workers.errors import RunError
from workers.images.bucket import Bucket
from workers.model import Listed, Part
from workers.parts.own import OwnParts
from workers.services import Services
from workers.settings import Settings

KEYS = [f"{number:03d}.jpg" for number in range(200)]


class FullOnce:
    """A ledger whose disk has been full for a moment, when it was to keep the second part."""

    def __init__(self) -> None:
        self.kept: list[Listed] = []

    def listed(self, _: str) -> Listed:
        return self.kept[-1] if self.kept else Listed()

    def open_parts(self, _: str) -> list[Part]:
        return []

    def list_parts(self, _: str, parts: list[Part], listed: Listed) -> Future[None]:
        done = Future[None]()
        if any(part.number == 2 for part in parts):
            done.set_exception(RunError("the disk is full"))
            return done
        self.kept.append(listed)
        done.set_result(None)
        return done


def test_no_listing_is_kept_behind_a_part_that_is_not(
    settings: Settings, make_calls: MakeCalls
) -> None:
    ledger, nobody = FullOnce(), None
    s3: Any = FakeS3(dict.fromkeys(KEYS, b"x"), page_size=50)
    bucket = Bucket(s3, make_calls(settings), settings)
    services: Any = Services(ledger, bucket, nobody, nobody)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="the disk is full"):
        list(OwnParts(settings, services, None).taken())
    # so the next start lists the second part once more
    assert ledger.listed("").reached == KEYS[49]
