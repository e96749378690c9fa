"""What the label workers of a fleet have decided of a run, as its table shows it.

A decision is an item by itself. How many there are, each process says a moment after; what one that
was killed has not said is found by a recount, which goes through all of them.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import chain, islice
from operator import attrgetter, itemgetter

from workers.ledger.dynamodb import items
from workers.ledger.dynamodb.items import Item, Key, Values
from workers.ledger.dynamodb.table import Table
from workers.ledger.dynamodb.writer import Writer
from workers.model import Decision, LabelCounts, Part


class Decisions:
    """The side of `DynamoDbLedger` that reads them; what `writer` has not told yet is counted."""

    def __init__(self, table: Table, writer: Writer) -> None:
        self._table = table
        self._writer = writer
        self._recounted: dict[str, Counter[str]] = {}
        self._known_shards: dict[str, int] = {}

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        # a listing's page is a short stretch of each partition: one request tells of a thousand
        by_partition: defaultdict[int, list[str]] = defaultdict(list)
        for index in indexes:
            by_partition[items.partition_of(index)].append(index)
        undecided, strewn = set(indexes), list[Key]()
        for partition, part in by_partition.items():
            pk, most = f"{run}/decided/{partition}", len(part) + 1
            stretch = self._table.query(pk, min(part), max(part), page=most)
            decided = [index for index, _ in islice(stretch, most)]
            undecided.difference_update(decided)
            if len(decided) == most:
                # of a list of keys in no order: all that is decided may lie in between
                strewn += [(pk, index) for index in part]
        undecided.difference_update(index for _, index in self._table.get_all(strewn, "pk"))
        return undecided

    def unsent(
        self, run: str, part: Part, indexes: Iterable[str] | None = None
    ) -> Iterator[Decision]:
        if indexes is None:
            found = self._all_decided(run, part.after, part.upto)
        else:
            keys = [items.decided_key(run, index) for index in indexes]
            found = ((key[1], values) for key, values in self._table.get_all(keys).items())
        number = part.number
        # the version before had a list of them
        listed = self._table.query(f"{run}/unsent/{number}")
        ours = (item for item in found if items.is_to_be_sent(number, item[1]))
        said = (values for _, values in self._table.query(f"{run}/sent/{number}"))
        sent = {index for values in said for index in items.sent_of(values)}
        for index, values in chain(listed, ours):
            if index not in sent:
                yield items.decision_of(run, index, values, number)

    def labelled(self, run: str) -> Iterator[Decision]:
        return (decision for decision in self._seen_ones(run) if decision.labels)

    def failures(self, run: str) -> Iterator[Decision]:
        if self._has_no(run, "failed"):
            return iter(())
        seen = (decision for decision in self._seen_ones(run) if decision.failure is not None)
        return heapq.merge(self._listed_failures(run), seen, key=attrgetter("index"))

    def _listed_failures(self, run: str) -> Iterator[Decision]:
        """Those of the versions before, which had a list of them."""
        pks = [f"{run}/failed/{n}" for n in range(max(items.PARTITIONS, self._shards(run)))]
        for index, values in heapq.merge(*map(self._table.query, pks), key=itemgetter(0)):
            yield items.decision_of(run, index, values)

    def near(self, run: str) -> Iterator[Decision]:
        if self._has_no(run, "near"):
            return iter(())
        return (decision for decision in self._seen_ones(run) if decision.near)

    def _has_no(self, run: str, name: str) -> bool:
        """Whether a recount has found none of them, so that a look at all decisions is saved."""
        counted = self._recounted.get(run)
        return counted is not None and counted.get(name) == 0

    def _seen_ones(self, run: str) -> Iterator[Decision]:
        """Decisions about images in which a label was seen, surely or not, or that failed."""
        for index, values in self._all_decided(run):
            if not values.keys() <= items.OF_EVERY_DECISION:
                yield items.decision_of(run, index, values)

    def _all_decided(self, run: str, first: str = "", last: str = "") -> Iterator[Item]:
        pks = [f"{run}/decided/{partition}" for partition in range(items.PARTITIONS)]
        found = (self._table.query(pk, first, last) for pk in pks)
        return heapq.merge(*found, key=itemgetter(0))

    def label_counts(self, run: str, recount: bool = False) -> LabelCounts:
        told = [*self._told(run)]
        counts: Counter[str] = Counter()
        for name, values in told:
            if name == "end" and "decided" in values:
                self._recounted.setdefault(run, items.counts_of(values))
            elif name.startswith(("tally/", "parts/")) and name != self._writer.tally:
                counts.update(values)
        counts.update(self._writer.counted((f"{run}/label", self._writer.tally)))
        if recount:
            self._recounted[run] = self._recount(run, told)
        counts |= self._recounted.get(run, Counter())
        return LabelCounts(*(counts[each.name] for each in fields(LabelCounts)))

    def _told(self, run: str) -> Iterator[Item]:
        """What label workers say of the run beside their decisions."""
        shards = (f"{run}/label/{shard}" for shard in range(self._shards(run)))
        return chain.from_iterable(map(self._table.query, (f"{run}/label", *shards)))

    def _recount(self, run: str, told: list[Item]) -> Counter[str]:
        """The counts from the decisions themselves: killed workers have not told of their last.

        Versions before told in the same write, and did not keep here what failed, nor the first
        one what is labelled: of theirs, what they have told counts.
        """
        counts: Counter[str] = Counter(near=0, failed=0)
        tallies = set()
        for index, values in self._all_decided(run):
            found = items.decision_counts(items.decision_of(run, index, values))
            if "by" in values:
                counts.update(found)
                tallies.add(f"tally/{values['by'].partition('/')[0]}")
            else:
                counts["near"] += found["near"]
        for name, values in told:
            if name.startswith("tally/") and name not in tallies:
                counts.update(values)
        return counts

    def _at_end(self, run: str) -> Values:
        """What the item of the run's end says of them, so that nobody has to count again."""
        return dict(self._recounted.get(run, {}))

    def _shards(self, run: str) -> int:
        """How many shards a run has that the version before began; 0 for one of today."""
        if run not in self._known_shards:
            self._known_shards[run] = int(
                items.settled_of(self._table.query(f"{run}/run")).get("shards", 0)
            )
        return self._known_shards[run]
