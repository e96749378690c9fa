"""What the workers ask of a ledger, whatever it is kept in.

A write is durable when its future is done, and all that were asked for before it are, too. A
duplicate changes nothing: the first decision about an image and the first result of it stay, and
each counts once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from typing import Protocol

from workers.answer import Answer
from workers.ledger.dynamodb.fleet import FleetTable
from workers.model import (
    Decision,
    LabelCounts,
    Listed,
    Part,
    Picture,
    Result,
    RunEnd,
    RunProgress,
)
from workers.output.rows import ResultRow


class Ledger(Protocol):
    """Both workers' sides, in one file or table.

    Who asks about many, and says which of them are to be seen `surely`, gets those; of the others a
    fleet's table, for half the price, may not show what another worker kept a second ago.
    """

    def close(self) -> None:
        """Writes what is under way and lets go of everything."""

    # --- what both keep: answers, for good and for all runs, and what a run was begun with -----

    @property
    def fleet(self) -> FleetTable | None:
        """What the workers of a fleet tell each other; None where there is none."""

    def answers(
        self, kind: str, pictures: list[Picture], surely: Collection[Picture] | None = None
    ) -> dict[Picture, bytes]:
        """The answers of a kind that are kept about these, packed."""

    def keep(self, picture: Picture, answer: Answer) -> Future[None]:
        """Keeps an answer; of labels, the one that was asked for with the lowest floor."""

    def all_answers(self) -> Iterator[tuple[str, Picture, bytes]]:
        """Kind, picture and what is packed of every answer."""

    def settle(self, run: str, settings: dict[str, str]) -> Future[None]:
        """Keeps what a run is begun with; the first value of each name stays."""

    def settled(self, run: str) -> dict[str, str]:
        """What the run was begun with; empty before its first worker."""

    # --- the label workers' side ---------------------------------------------------------------

    def listed(self, run: str) -> Listed:
        """How far the run's listing has come."""

    def list_parts(self, run: str, parts: list[Part], listed: Listed) -> Future[None]:
        """Keeps the next parts, and how far the listing has come with them.

        The future raises NotListerError when another worker goes on with the listing.
        """

    def open_parts(self, run: str) -> Iterator[Part]:
        """The parts that are listed and not done."""

    def end_part(self, run: str, number: int) -> Future[None]:
        """Keeps that all images of a part are decided, and that SQS has its indexes."""

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        """Those of the indexes that no label worker has decided."""

    def decide(self, decisions: list[Decision]) -> Future[list[Decision]]:
        """Keeps decisions; one with a label counts as not sent yet. Gives those that are kept."""

    def sent(self, decisions: list[Decision]) -> Future[None]:
        """Keeps that SQS has these; in a fleet within two seconds, and not before other writes."""

    def unsent(
        self, run: str, part: Part, indexes: Iterable[str] | None = None
    ) -> Iterator[Decision]:
        """A part's decisions with a label of which it is not known that SQS has them.

        Of all in its stretch of keys; where `indexes` are named, of these at least: a part of a
        list of keys has no stretch.
        """

    def labelled(self, run: str) -> Iterator[Decision]:
        """Decisions with a label, whether SQS has them or not."""

    def label_counts(self, run: str, recount: bool = False) -> LabelCounts:
        """How much is decided, and how; of a fleet it may be a moment behind, and of what a killed
        worker did last for good: unless it is a `recount`, or the run has ended with one.
        """

    def failures(self, run: str) -> Iterator[Decision]:
        """The images that can never be looked at, in the order of their names."""

    def near(self, run: str) -> Iterator[Decision]:
        """Images that have a label, but not surely enough, in the order of their names."""

    def end_run(self, end: RunEnd) -> Future[None]:
        """Keeps that every image is decided, and that this is sent."""

    def run_end(self, run: str) -> RunEnd | None:
        """The end of the run, if it was sent."""

    # --- the text workers' side ----------------------------------------------------------------

    refresh_seconds: float
    """How often all results may be read again without that being what a worker does."""
    refresh_growth: float
    """By how much of its time so far a worker then waits, where each result costs its reader."""

    def not_done(
        self, run: str, indexes: list[str], surely: Collection[str] | None = None
    ) -> set[str]:
        """Those of the indexes, as `model.filed` has them, that have no result."""

    def complete(self, results: list[Result]) -> Future[None]:
        """Keeps results; the first one of an index stays."""

    def record_end(self, end: RunEnd) -> Future[None]:
        """Keeps that the run's end has come; the last one stays."""

    def record_foreign_end(self, run: str) -> Future[None]:
        """Keeps that an end mark without counts has come."""

    def progress(self, run: str) -> RunProgress:
        """How far the text workers are."""

    def results(self, run: str) -> Iterator[ResultRow]:
        """Every result, in natural order."""
