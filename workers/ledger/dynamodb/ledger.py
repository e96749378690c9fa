"""The ledger in a DynamoDB table, which the workers of a fleet share."""

from __future__ import annotations

import heapq
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import fields, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from workers.answer import CONFIDENCE_UNIT, KINDS, Answer
from workers.aws.calls import Calls
from workers.errors import OutageError
from workers.ledger.dynamodb import items
from workers.ledger.dynamodb.fleet import FleetTable
from workers.ledger.dynamodb.items import Key, Values
from workers.ledger.dynamodb.progress import Progress
from workers.ledger.dynamodb.table import Table
from workers.ledger.dynamodb.transactions import (
    LABELLED_LINGER_SECONDS,
    LINGER_SECONDS,
    Transactions,
    Write,
)
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

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDbLedger:
    """The ledger in a table that many workers, on many instances, write at once.

    Writes become durable in the order in which they were asked for. What other workers have counted
    may be a second old in `progress`. Raises RunError when the table cannot be used and
    OutageError when it does not answer; a write that fails puts that into its future.
    """

    refresh_seconds = 30.0

    def __init__(
        self,
        table: str,
        client: DynamoDBClient,
        calls: Calls,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = Table(table, client, calls)
        self._transactions = Transactions(self._table)
        self.fleet = FleetTable(self._table)
        self._own_tally = f"tally/{uuid.uuid4().hex[:12]}"
        self._progress = Progress(self._table, self._transactions, self._own_tally, clock)
        self._known_shards: dict[str, int] = {}

    # --- what both keep ------------------------------------------------------------------------

    def answers(self, kind: str, pictures: list[Picture]) -> dict[Picture, bytes]:
        keys = [items.answer_key(kind, picture) for picture in pictures if picture.is_known]
        found = self._table.get_all(keys, "packed")
        return {items.picture_of(sk): values["packed"] for (_, sk), values in found.items()}

    def keep(self, picture: Picture, answer: Answer) -> Future[None]:
        key = items.answer_key(answer.KIND, picture)
        values = {"packed": answer.pack(), "floor": round(answer.floor * CONFIDENCE_UNIT)}
        return self._transactions.write(Write({key: values}, new=key))

    def all_answers(self) -> Iterator[tuple[str, Picture, bytes]]:
        for kind in KINDS:
            for partition in range(items.PARTITIONS):
                for sk, values in self._table.query(f"{items.ANSWERS}/{kind}/{partition}"):
                    yield kind, items.picture_of(sk), values["packed"]

    def settle(self, run: str, settings: dict[str, str]) -> Future[None]:
        version = self._put((items.LEDGER, "version"), {"value": items.VERSION})
        puts = [self._put((f"{run}/run", n), {"value": v}, True) for n, v in settings.items()]
        return _all_of([version, *puts])

    def settled(self, run: str) -> dict[str, str]:
        # the version before kept the number of shards only, as one
        return {
            name: values["value"] if "value" in values else str(values["shards"])
            for name, values in self._table.query(f"{run}/run")
        }

    # --- the label worker's side ---------------------------------------------------------------

    def listed(self, run: str) -> Listed:
        values = self._table.get(items.listing_key(run))
        return items.listed_of(values) if values else Listed()

    def list_parts(self, run: str, parts: list[Part], listed: Listed) -> Future[None]:
        return self.fleet.list_parts(run, parts, listed)

    def open_parts(self, run: str) -> Iterator[Part]:
        return map(items.part_of, self._table.query(f"{run}/part"))

    def end_part(self, run: str, number: int) -> Future[None]:
        key, tally = items.part_key(run, number), (f"{run}/label", self._own_tally)
        return self._transactions.write(Write(old=key, tally=tally, counts=Counter(parts=1)))

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        # a listing's page is a short stretch of each partition: one request tells of a thousand
        by_partition: defaultdict[int, list[str]] = defaultdict(list)
        for index in indexes:
            by_partition[items.partition_of(index)].append(index)
        undecided = set(indexes)
        for partition, part in by_partition.items():
            decided = self._table.query(f"{run}/decided/{partition}", min(part), max(part))
            undecided.difference_update(index for index, _ in decided)
        return undecided

    def decide(self, decisions: list[Decision]) -> Future[list[Decision]]:
        writes = [*map(self._decided, decisions)]
        futures = [*map(self._transactions.write, writes)]
        return _all_of(futures, lambda: [*map(self._standing, decisions, writes)])

    def _standing(self, decision: Decision, write: Write) -> Decision:
        """The decision about its image that is in the table, as one of this part.

        A list of keys may have an image in several parts: each is done with it by itself.
        """
        if not write.is_duplicate:
            return decision
        # another worker's; or its own, where the answer to its first try was lost
        values = self._table.get(items.decided_key(decision)) or {}
        standing = items.decision_of(decision.run, decision.index, values)
        return replace(standing, part=decision.part)

    def _decided(self, decision: Decision) -> Write:
        return Write(
            items.decision_items(decision),
            new=items.decided_key(decision),
            tally=(f"{decision.run}/label", self._own_tally),
            counts=items.decision_counts(decision),
            linger=LABELLED_LINGER_SECONDS if decision.labels else LINGER_SECONDS,
        )

    def sent(self, decisions: list[Decision]) -> Future[None]:
        writes = [Write(deletes={items.unsent_key(decision)}) for decision in decisions]
        return _all_of(list(map(self._transactions.write, writes or [Write(linger=0)])))

    def unsent(self, run: str, part: int) -> Iterator[Decision]:
        for index, values in self._table.query(f"{run}/unsent/{part}"):
            yield items.decision_of(run, index, values, part)

    def labelled(self, run: str) -> Iterator[Decision]:
        return (decision for decision in self._seen_ones(run) if decision.labels)

    def failures(self, run: str) -> Iterator[Decision]:
        places = max(items.PARTITIONS, self._shards(run))
        pks = [f"{run}/failed/{place}" for place in range(places)]
        for index, values in heapq.merge(*map(self._table.query, pks), key=itemgetter(0)):
            yield items.decision_of(run, index, values)

    def near(self, run: str) -> Iterator[Decision]:
        return (decision for decision in self._seen_ones(run) if decision.near)

    def _seen_ones(self, run: str) -> Iterator[Decision]:
        """Decisions about images in which a label was seen, surely enough or not."""
        pks = [f"{run}/decided/{partition}" for partition in range(items.PARTITIONS)]
        for index, values in heapq.merge(*map(self._table.query, pks), key=itemgetter(0)):
            if values:
                yield items.decision_of(run, index, values)

    def label_counts(self, run: str) -> LabelCounts:
        counts: Counter[str] = Counter()
        shards = [f"{run}/label/{shard}" for shard in range(self._shards(run))]
        for pk in (f"{run}/label", *shards):
            for name, values in self._table.query(pk):
                if name.startswith("tally/"):
                    counts.update(values)
        return LabelCounts(*(counts[each.name] for each in fields(LabelCounts)))

    def end_run(self, end: RunEnd) -> Future[None]:
        return self._put((f"{end.run}/label", "end"), {"expected": end.expected})

    def run_end(self, run: str) -> RunEnd | None:
        shards = [(f"{run}/label/{shard}", "end") for shard in range(self._shards(run))]
        for keys in filter(None, ([(f"{run}/label", "end")], shards)):
            ends = [*map(self._table.get, keys)]
            if all(ends):
                return RunEnd(run, sum(end["expected"] for end in ends if end))
        return None

    def _shards(self, run: str) -> int:
        """How many shards a run has that the version before began; 0 for one of today."""
        if run not in self._known_shards:
            self._known_shards[run] = int(self.settled(run).get("shards", 0))
        return self._known_shards[run]

    # --- the text workers' side ----------------------------------------------------------------

    def not_done(self, run: str, indexes: list[str]) -> set[str]:
        by_key = {items.result_key(run, index): index for index in indexes}
        done = self._table.existing(list(by_key))
        return {index for key, index in by_key.items() if key not in done}

    def complete(self, results: list[Result]) -> Future[None]:
        return _all_of([self._transactions.write(self._completed(each)) for each in results])

    def _completed(self, result: Result) -> Write:
        key = items.result_key(result.run, result.filed)
        return Write(
            {key: items.result_values(result)},
            new=key,
            tally=(f"{result.run}/text", self._own_tally),
            counts=items.result_counts(result),
        )

    def record_end(self, end: RunEnd) -> Future[None]:
        return self._put_and_forget(end.run, (f"{end.run}/text", "end"), {"expected": end.expected})

    def record_foreign_end(self, run: str) -> Future[None]:
        return self._put_and_forget(run, (f"{run}/text", "foreign-end"), {})

    def progress(self, run: str) -> RunProgress:
        return self._progress.of(run)

    def results(self, run: str) -> Iterator[ResultRow]:
        counted = self._progress.looked_at(run).done
        pks = [f"{run}/result/{partition}" for partition in range(items.PARTITIONS)]
        merged = heapq.merge(*map(self._table.query, pks), key=items.order_of)
        found = 0
        for _, group in groupby(merged, key=items.order_of):
            alike = sorted(group, key=items.whole_order_of)
            found += len(alike)
            counted_ones = {items.index_of(item) for item in alike if not items.is_by_hand(item)}
            for item in alike:
                if not items.is_by_hand(item) or items.index_of(item) not in counted_ones:
                    yield items.row_of(item[1])
        # a transaction becomes visible item by item: its count may be so before its images
        if found < counted:
            raise OutageError(
                f"the table {self._table.name!r} shows {found} results of {counted} that it "
                "counts; start again"
            )

    def close(self) -> None:
        self._transactions.close()

    def _put(self, key: Key, values: Values, only_new: bool = False) -> Future[None]:
        new = key if only_new else None
        return self._transactions.write(Write({key: values}, new=new, linger=0))

    def _put_and_forget(self, run: str, key: Key, values: Values) -> Future[None]:
        """Puts an end; once it is durable, every look at the run has it."""
        future = self._put(key, values)
        wait([future])
        self._progress.forget(run)
        return future


def _all_of(futures: list[Future[None]], gives: Callable[[], Any] = lambda: None) -> Future[Any]:
    """Done when all of them are, in this order, and what it gives; the first error is its error."""
    whole: Future[Any] = Future()

    def settle(_: Future[None]) -> None:
        try:
            for future in futures:
                future.result()
            whole.set_result(gives())
        except Exception as error:
            whole.set_exception(error)

    # they are done one after the other
    futures[-1].add_done_callback(settle)
    return whole
