"""What is labelled and has no result is sent again: a message may have expired or been lost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from workers.errors import RunError
from workers.index_queue.messages import end_entry
from workers.index_queue.sender import IndexSender
from workers.services import Services
from workers.settings import Settings
from workers.threads.stop import Stop

# so many are looked up at once
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Resent:
    """How many indexes, and whether the end, are on the queue once more."""

    indexes: int
    end: bool


def resend(settings: Settings, services: Services, stop: Stop) -> Resent:
    """Sends what the label workers of this ledger have found again, and then the end.

    A pair's ledger knows of no results: everything goes, and the text worker deletes what it has
    done. Raises RunError when the ledger knows nothing of the run, or not all that it has found.
    """
    run, ledger, queue = settings.run, services.ledger, services.index_queue
    # `shards` is what the version before kept
    if not {"label", "shards"} & ledger.settled(run).keys():
        raise RunError(
            f"no label worker has begun run {run!r} in this ledger; give --run, and the label "
            "worker's --state-dir or --ledger"
        )
    sender = IndexSender(queue, ledger.sent, 0, stop)
    counted = ledger.label_counts(run).labelled
    labelled = ledger.labelled(run)
    named = indexes = 0
    while chunk := list(islice(labelled, CHUNK)):
        missing = ledger.not_done(run, [decision.index for decision in chunk])
        again = [decision for decision in chunk if decision.index in missing]
        sender.send_all(again)
        named, indexes = named + len(chunk), indexes + len(again)
    # not before SQS has all of them
    stop.raise_error()
    end = ledger.run_end(run)
    if end:
        queue.send([end_entry(end)])
    if named < counted:
        # in a table of a version before this command a decision does not say what was found
        raise RunError(
            f"{counted:,} images of run {run!r} are labelled, but the ledger names {named:,} of "
            f"them only, for an older version labelled the others; {indexes:,} were sent again. If "
            "results are still missing then, begin another run with a new --run"
        )
    return Resent(indexes, bool(end))
