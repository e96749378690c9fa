"""What the workers of a fleet tell each other: who is alive, who lists, who has which part."""

from __future__ import annotations

from typing import Any

from workers.errors import NotListerError
from workers.ledger.dynamodb import items
from workers.ledger.dynamodb.items import Key
from workers.ledger.dynamodb.table import Table
from workers.model import Listed, Part


class FleetTable:
    """Each of these is done when it returns; raises what `Table` does."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def beats(self, kind: str) -> dict[str, int]:
        """The heartbeat of each worker of a kind: a number that goes up while it lives."""
        return {worker: values["beat"] for worker, values in self._table.query(_alive(kind))}

    def beat(self, kind: str, worker: str, number: int) -> None:
        """Says that a worker lives."""
        self._table.write((_alive(kind), worker), {"beat": number})

    def leave(self, kind: str, *workers: str) -> None:
        """Says that these do not, or not any more."""
        for worker in workers:
            self._table.transact([self._table.delete((_alive(kind), worker))])

    def list_parts(self, run: str, parts: list[Part], listed: Listed) -> None:
        """Keeps the next parts, if the listing is `listed.lister`'s; else NotListerError."""
        table = self._table
        goes_on = table.put_if(items.listing_key(run), items.listed_values(listed), "lister")
        puts = (
            table.put(items.part_key(run, part.number), items.part_values(part)) for part in parts
        )
        if table.transact([goes_on, *puts]):
            raise NotListerError

    def take_listing(self, run: str, worker: str, instead_of: str) -> bool:
        """Makes a worker the lister, in the place of another or of nobody; whether it is that."""
        key = items.listing_key(run)
        if instead_of:
            take = self._table.swap(key, "lister", instead_of, worker)
        else:
            take = self._table.put(key, items.listed_values(Listed(lister=worker)), only_new=True)
        return self._swapped(take, key, "lister", worker)

    def take_part(self, run: str, number: int, worker: str, instead_of: str) -> bool:
        """Makes a part a worker's, or nobody's if that is empty; whether it is."""
        key = items.part_key(run, number)
        return self._swapped(self._table.swap(key, "by", instead_of, worker), key, "by", worker)

    def part(self, run: str, number: int) -> Part | None:
        """A part, None when it is done."""
        key = items.part_key(run, number)
        values = self._table.get(key)
        return items.part_of((key[1], values)) if values else None

    def _swapped(self, action: Any, key: Key, name: str, value: str) -> bool:
        # the answer to a first try may have been lost: what counts is how it is now
        return not self._table.transact([action]) or (self._table.get(key) or {}).get(name) == value


def _alive(kind: str) -> str:
    return f"{items.ALIVE}/{kind}"
