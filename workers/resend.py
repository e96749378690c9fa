"""What is labelled and has no result is sent again: a message may have expired or been lost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from workers.errors import RunError
from workers.index_queue.messages import end_entry
from workers.index_queue.sender import IndexSender
from workers.parts import Parts
from workers.settings import Settings
from workers.threads.stop import Stop

# so many are looked up at once
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Resent:
    """How many indexes and ends are on the queue once more."""

    indexes: int
    ends: int


def resend(settings: Settings, parts: Parts, stop: Stop) -> Resent:
    """Sends what the label workers of this ledger have found again, and then their ends.

    A pair's ledger knows of no results: everything goes, and the text worker deletes what it has
    done. Raises RunError when the ledger knows nothing of the run.
    """
    run, ledger, queue = settings.run, parts.ledger, parts.index_queue
    shards = range(int(ledger.settled(run).get("shards", 0)))
    if not shards:
        raise RunError(
            f"no label worker has begun run {run!r} in this ledger; give --run, and the label "
            "worker's --state-dir or --ledger"
        )
    sender = IndexSender(queue, ledger.sent, 0, stop)
    indexes = 0
    for shard in shards:
        labelled = ledger.labelled(run, shard)
        while chunk := list(islice(labelled, CHUNK)):
            missing = ledger.not_done(run, [decision.index for decision in chunk])
            again = [decision for decision in chunk if decision.index in missing]
            sender.send_all(again)
            indexes += len(again)
    # not before SQS has all of them
    stop.raise_error()
    ends = [end for shard in shards if (end := ledger.shard_ended(run, shard))]
    for end in ends:
        queue.send([end_entry(end)])
    return Resent(indexes, len(ends))
