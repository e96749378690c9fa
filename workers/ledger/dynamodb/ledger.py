"""The ledger in a DynamoDB table, which the workers of a fleet share."""

from __future__ import annotations

import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from workers.answer import CONFIDENCE_UNIT, KINDS, Answer
from workers.errors import OutageError
from workers.ledger.dynamodb import items
from workers.ledger.dynamodb.decisions import Decisions
from workers.ledger.dynamodb.fleet import FleetTable
from workers.ledger.dynamodb.items import Key, Values
from workers.ledger.dynamodb.progress import Progress
from workers.ledger.dynamodb.table import Table
from workers.ledger.dynamodb.writer import (
    LABELLED_LINGER_SECONDS,
    LINGER_SECONDS,
    Insert,
    Writer,
    fulfil,
)
from workers.model import (
    Decision,
    Listed,
    Part,
    Picture,
    Result,
    RunEnd,
    RunProgress,
)
from workers.output.rows import ResultRow


class DynamoDbLedger(Decisions):
    """The ledger in a table that many workers, on many instances, write at once.

    Writes become durable in the order in which they were asked for. What other workers have counted
    may be some seconds old in `progress`. Raises RunError when the table cannot be used and
    OutageError when it does not answer; a write that fails puts that into its future.
    """

    refresh_seconds, refresh_growth = 30.0, 2.0

    def __init__(
        self,
        table: Table,
        clock: Callable[[], float] = time.monotonic,
        read_only: bool = False,
    ) -> None:
        super().__init__(table, Writer(table))
        self.fleet = FleetTable(self._table)
        # who only looks writes nothing, not even what it has counted
        count = None if read_only else self._counted
        self._progress = Progress(self._table, self._writer, count, clock)
        self._sent: defaultdict[tuple[str, int], set[str]] = defaultdict(set)

    # --- what both keep ------------------------------------------------------------------------

    def answers(
        self, kind: str, pictures: list[Picture], surely: Collection[Picture] | None = None
    ) -> dict[Picture, bytes]:
        key_of = partial(items.answer_key, kind)
        keys = [key_of(picture) for picture in pictures if picture.is_known]
        sure = None if surely is None else {*map(key_of, surely)}
        found = self._table.get_all(keys, "packed", surely=sure)
        return {items.picture_of(sk): values["packed"] for (_, sk), values in found.items()}

    def keep(self, picture: Picture, answer: Answer) -> Future[None]:
        key = items.answer_key(answer.KIND, picture)
        values = {"packed": answer.pack(), "floor": round(answer.floor * CONFIDENCE_UNIT)}
        return self._writer.insert(Insert(key, values))

    def all_answers(self) -> Iterator[tuple[str, Picture, bytes]]:
        for kind in KINDS:
            for partition in range(items.PARTITIONS):
                for sk, values in self._table.query(f"{items.ANSWERS}/{kind}/{partition}"):
                    yield kind, items.picture_of(sk), values["packed"]

    def settle(self, run: str, settings: dict[str, str]) -> Future[None]:
        version = self._put((items.LEDGER, "version"), {"value": items.VERSION})
        inserts = [Insert((f"{run}/run", n), {"value": v}) for n, v in settings.items()]
        return _all_of([version, *map(self._writer.insert, inserts), self._writer.flush()])

    def settled(self, run: str) -> dict[str, str]:
        return items.settled_of(self._table.query(f"{run}/run"))

    # --- the label worker's side ---------------------------------------------------------------

    def listed(self, run: str) -> Listed:
        values = self._table.get(items.listing_key(run))
        return items.listed_of(values) if values else Listed()

    def list_parts(self, run: str, parts: list[Part], listed: Listed) -> Future[None]:
        kept = Future[None]()
        fulfil([kept], lambda: self.fleet.list_parts(run, parts, listed))
        return kept

    def open_parts(self, run: str) -> Iterator[Part]:
        return map(items.part_of, self._table.query(f"{run}/part"))

    def end_part(self, run: str, number: int) -> Future[None]:
        # from now on nobody asks what of it is sent
        self._sent.pop((run, number), None)
        parts = f"{run}/label", f"parts/{self._writer.process}"
        end = [
            self._table.delete(items.part_key(run, number), only_there=True),
            self._table.delete(items.sent_key(run, number, self._writer.process)),
            self._table.add_one(parts, "parts"),
        ]
        return self._writer.do(lambda: self._table.transact(end))

    def decide(self, decisions: list[Decision]) -> Future[list[Decision]]:
        inserts = [*map(self._decided, decisions)]
        futures = [*map(self._writer.insert, inserts)]
        return _all_of(futures, lambda: [*map(self._standing, decisions, inserts)])

    def _standing(self, decision: Decision, insert: Insert) -> Decision:
        """The decision about its image that is in the table, as one of this part.

        A list of keys may have an image in several parts: each is done with it by itself.
        """
        if not insert.is_duplicate:
            return decision
        values = self._table.get(insert.key) or {}
        standing = items.decision_of(decision.run, decision.index, values)
        return replace(standing, part=decision.part)

    def _decided(self, decision: Decision) -> Insert:
        return Insert(
            items.decided_key(decision.run, decision.index),
            items.decision_values(decision),
            tally=(f"{decision.run}/label", self._writer.tally),
            counts=items.decision_counts(decision),
            linger=LABELLED_LINGER_SECONDS if decision.labels else LINGER_SECONDS,
        )

    def sent(self, decisions: list[Decision]) -> Future[None]:
        told = []
        for (run, part), some in groupby(decisions, key=attrgetter("run", "part")):
            self._sent[run, part].update(decision.index for decision in some)
            key = items.sent_key(run, part, self._writer.process)
            told.append(self._writer.tell(key, partial(self._sent_values, run, part)))
        return told[-1] if told else self._writer.flush()

    def _sent_values(self, run: str, part: int) -> Values | None:
        indexes = self._sent.get((run, part))
        return items.sent_values([*indexes]) if indexes else None

    def end_run(self, end: RunEnd) -> Future[None]:
        said = {"expected": end.expected, **self._at_end(end.run)}
        return self._put((f"{end.run}/label", "end"), said)

    def run_end(self, run: str) -> RunEnd | None:
        shards = [(f"{run}/label/{shard}", "end") for shard in range(self._shards(run))]
        for keys in filter(None, ([(f"{run}/label", "end")], shards)):
            ends = [*map(self._table.get, keys)]
            if all(ends):
                return RunEnd(run, sum(end["expected"] for end in ends if end))
        return None

    # --- the text workers' side ----------------------------------------------------------------

    def not_done(
        self, run: str, indexes: list[str], surely: Collection[str] | None = None
    ) -> set[str]:
        key_of = partial(items.result_key, run)
        sure = None if surely is None else {*map(key_of, surely)}
        by_key = {key_of(index): index for index in indexes}
        done = self._table.get_all([*by_key], "pk", surely=sure)
        return {index for key, index in by_key.items() if key not in done}

    def complete(self, results: list[Result]) -> Future[None]:
        return _all_of([self._writer.insert(self._completed(each)) for each in results])

    def _completed(self, result: Result) -> Insert:
        return Insert(
            items.result_key(result.run, result.filed),
            items.result_values(result),
            tally=(f"{result.run}/text", self._writer.tally),
            counts=items.result_counts(result),
        )

    def record_end(self, end: RunEnd) -> Future[None]:
        return self._put_and_forget(end.run, (f"{end.run}/text", "end"), {"expected": end.expected})

    def record_foreign_end(self, run: str) -> Future[None]:
        return self._put_and_forget(run, (f"{run}/text", "foreign-end"), {})

    def progress(self, run: str) -> RunProgress:
        return self._progress.of(run)

    def _counted(self, run: str) -> Counter[str]:
        """What the results themselves add up to."""
        found = chain.from_iterable(map(self._table.query, items.result_pks(run)))
        counts: Counter[str] = Counter()
        for _, values in found:
            counts.update(items.counts_of_result(values))
        return counts

    def results(self, run: str) -> Iterator[ResultRow]:
        counted = self._progress.looked_at(run).done
        pks = items.result_pks(run)
        merged = heapq.merge(*map(self._table.query, pks), key=items.order_of)
        found = 0
        for _, group in groupby(merged, key=items.order_of):
            alike = sorted(group, key=items.whole_order_of)
            found += len(alike)
            counted_ones = {items.index_of(item) for item in alike if not items.is_by_hand(item)}
            for item in alike:
                if not items.is_by_hand(item) or items.index_of(item) not in counted_ones:
                    yield items.row_of(item[1])
        # what is counted is there before: somebody has taken it away, and this is not the whole
        if found < counted:
            raise OutageError(
                f"the table {self._table.name!r} shows {found} results of {counted} that it "
                "counts; start again"
            )

    def close(self) -> None:
        self._writer.close()

    def _put(self, key: Key, values: Values) -> Future[None]:
        return self._writer.do(lambda: self._table.write(key, values))

    def _put_and_forget(self, run: str, key: Key, values: Values) -> Future[None]:
        """Puts an end; once it is durable, every look at the run has it."""
        future = self._put(key, values)
        wait([future])
        self._progress.forget(run)
        return future


def _all_of(futures: list[Future[None]], gives: Callable[[], Any] = lambda: None) -> Future[Any]:
    """Done when all of them are, in this order, and what it gives; the first error is its error."""
    whole: Future[Any] = Future()

    def given() -> Any:
        for future in futures:
            future.result()
        return gives()

    # they are done one after the other
    futures[-1].add_done_callback(lambda _: fulfil([whole], given))
    return whole
