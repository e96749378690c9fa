"""What the ledgers' tests share."""

from __future__ import annotations

import json

from workers.ledger import Ledger


def indexes_in(ledger: Ledger, run: str) -> list[str]:
    """The indexes of a run's results, in the order in which they come."""
    return [json.loads(row)["index"] for row, _ in ledger.results(run)]
