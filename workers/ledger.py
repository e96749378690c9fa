"""What is done, kept so that nothing is lost and nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from workers.aws import AwsCalls
from workers.ledger_dynamodb import DynamoDbLedger
from workers.ledger_sqlite import ReadOnlyLedger, SqliteLedger
from workers.records import LabelCounts, LabelDecision, RunProgress, ShardEnd, TextResult
from workers.rows import ResultRow
from workers.settings import Settings
from workers.stop import Stop

__all__ = ["Ledger", "ReadOnlyLedger", "SqliteLedger", "open_ledger"]


class Ledger(Protocol):
    """What the workers ask of a ledger.

    A write is durable when its future is done, and all that were asked for before it are, too.
    """

    shared: bool
    """Whether other workers of a kind write to it as well."""
    refresh_seconds: float
    """How often all results may be read again without that being what a worker does."""

    def settle_shards(self, run: str, shards: int) -> Future[None]:
        """Keeps into how many shards a run is divided; the first number stays."""

    def shards(self, run: str) -> int | None:
        """Into how many shards a run is divided, None before its first label worker."""

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        """Those of the indexes that the label worker has not decided."""

    def decide(self, decision: LabelDecision) -> Future[None]:
        """Keeps a decision; one with a label counts as not sent yet."""

    def sent(self, decisions: list[LabelDecision]) -> Future[None]:
        """Keeps that SQS has these."""

    def unsent(self, run: str, shard: int) -> Iterator[LabelDecision]:
        """Decisions with a label of which it is not known that SQS has them."""

    def label_counts(self, run: str, shard: int) -> LabelCounts:
        """How many images the label worker has decided, and how."""

    def failures(self, run: str, shard: int) -> Iterator[LabelDecision]:
        """The label worker's failed images, in the order of their names."""

    def end_shard(self, end: ShardEnd) -> Future[None]:
        """Keeps, on the label worker's side, that the shard is done and its end is sent."""

    def shard_ended(self, run: str, shard: int) -> ShardEnd | None:
        """The end of the shard, if it was sent."""

    def not_done(self, run: str, indexes: list[str]) -> set[str]:
        """Those of the indexes that the text workers have no result of."""

    def complete(self, result: TextResult) -> Future[None]:
        """Keeps a result; the first one of an index stays."""

    def record_end(self, end: ShardEnd) -> Future[None]:
        """Keeps, on the text worker's side, that a shard's end has come."""

    def record_foreign_end(self, run: str) -> Future[None]:
        """Keeps that an end mark without counts has come."""

    def progress(self, run: str) -> RunProgress:
        """How far the text workers are."""

    def results(self, run: str) -> Iterator[ResultRow]:
        """Every result, in natural order."""

    def close(self) -> None:
        """Writes what is under way and lets go of everything."""


def open_ledger(settings: Settings, read_only: bool = False) -> Ledger:
    """The ledger that the settings name; raises RunError when it cannot be used."""
    kind, _, where = settings.ledger_url.partition("://")
    if kind == "dynamodb":
        # what is paid for is kept also by a worker that stops
        return DynamoDbLedger(where, AwsCalls(settings, Stop()))
    path = Path(where.removeprefix("/"))
    return ReadOnlyLedger(path) if read_only else SqliteLedger(path)
