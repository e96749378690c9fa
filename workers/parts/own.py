"""The parts of who works alone: what is listed is worked on at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

from workers.model import Part
from workers.parts.source import Taken
from workers.services import Services
from workers.settings import Settings


class OwnParts:
    """What an earlier start has left, and then page by page what stands behind it.

    `of` is how many images a first look has seen, if there was one.
    """

    def __init__(self, settings: Settings, services: Services, of: int | None) -> None:
        self._run = settings.run
        self._ledger = services.ledger
        self._bucket = services.bucket
        self._kept: Future[None] | None = None
        self._listed = self._ledger.listed(self._run)
        if of is not None:
            self._listed = replace(self._listed, of=of)

    @property
    def of(self) -> int | None:
        return self._listed.total

    def taken(self) -> Iterator[Taken | None]:
        for part in [*self._ledger.open_parts(self._run)]:
            yield part, self._bucket.part(part)
        if self._listed.whole:
            return
        for part, images in self._bucket.parts(self._listed):
            self._listed = self._listed.behind(part)
            # not waited for: the decisions about its images become durable after it
            self._keep(part)
            yield part, images
        self._listed = replace(self._listed, whole=True)
        self._keep().result()

    def done(self, number: int) -> None:
        self._ledger.end_part(self._run, number)

    def close(self) -> None:
        """Nobody else waits for them."""

    def _keep(self, *parts: Part) -> Future[None]:
        if self._kept:
            # a listing that is kept behind a part that is not would have lost it
            self._kept.result()
        self._kept = self._ledger.list_parts(self._run, [*parts], self._listed)
        return self._kept
