"""What is done, kept so that nothing is lost and nothing is paid for twice."""

from __future__ import annotations

import structlog

from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.ledger.dynamodb.ledger import DynamoDbLedger
from workers.ledger.dynamodb.table import Table
from workers.ledger.protocol import Ledger
from workers.ledger.sqlite import SqliteLedger
from workers.paths import is_there
from workers.settings import Settings
from workers.threads.stop import Stop

log = structlog.get_logger()

__all__ = ["Ledger", "SqliteLedger", "open_ledger"]


def open_ledger(settings: Settings, stop: Stop | None = None, read_only: bool = False) -> Ledger:
    """The ledger that the settings name; raises RunError when it cannot be used.

    What is paid for is kept also by a worker that stops, for as long as its `stop` lets it drain.
    """
    path = settings.ledger_file
    if path is None:
        name = settings.ledger_url.removeprefix("dynamodb://")
        (client,) = make_clients(settings, "dynamodb")
        # one that stops is true
        calls = Calls(settings, Stop() if stop is None else stop, drain=True)
        table = Table(name, client, calls)
        table.check_version()
        return DynamoDbLedger(table, read_only=read_only)
    if not read_only and not is_there(path):
        note = "a run that is under way elsewhere goes on with its own"
        log.info("new ledger", path=str(path), note=note)
    return SqliteLedger(path, read_only)
