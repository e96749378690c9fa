"""What two living workers of a fleet have in hand at once: both of them may pay for it."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from typing import Any, Protocol

from bench.stub.scenario import QUEUE
from workers.alive import DEAD_SECONDS, LOOK_SECONDS
from workers.ledger.dynamodb.items import ALIVE

# images in a part of the listing
PART = 5
# whose heartbeat comes so late may be taken for dead
LATE_SECONDS = DEAD_SECONDS - LOOK_SECONDS


class Holder(Protocol):
    """One life of a worker."""

    role: str

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""


class Hands:
    """Hears what the services do; an image is in hand from its message's receive to its delete, a
    part from when it is taken in the table until it is done there.

    Nobody may take a part of who is alive and says so in time.
    """

    def __init__(self) -> None:
        self._holders: defaultdict[str, set[Holder]] = defaultdict(set)
        self._images: dict[str, str] = {}
        """What each receipt is for."""
        self._beats: dict[Holder, float] = {}
        self._late: set[Holder] = set()
        self.twice: Counter[str] = Counter()
        """How many images were in a second pair of hands, by role."""

    def saw(self, holder: Holder, operation: str, request: bytes, answer: bytes) -> None:
        """Takes in what a service has done for a worker."""
        match operation:
            # a receipt of the parts queue may read like one of the other
            case "ReceiveMessage" if _is_of_images(request):
                for message in json.loads(answer).get("Messages", []):
                    self._images[message["ReceiptHandle"]] = message["Body"]
                    self._take(message["Body"], holder)
            case "DeleteMessageBatch" if _is_of_images(request):
                for entry in json.loads(request)["Entries"]:
                    self._holders.pop(self._images.get(entry["ReceiptHandle"], ""), None)
            case "PutItem":
                self._written(holder, "Put", json.loads(request))
            case "TransactWriteItems":
                for action in json.loads(request)["TransactItems"]:
                    self._written(holder, *next(iter(action.items())))

    def _written(self, holder: Holder, kind: str, what: Any) -> None:
        key = what.get("Key") or what["Item"]
        name, part = key["pk"]["S"], f"part {key['sk']['S']}"
        if kind == "Put" and name.startswith(ALIVE):
            self._is_late(holder)
            self._beats[holder] = time.monotonic()
        elif kind == "Update" and name.endswith("/part"):
            if what["ExpressionAttributeValues"][":new"]["S"]:
                self._take(part, holder, PART)
            else:
                self._holders.pop(part, None)
        elif kind == "Delete" and name.endswith("/part"):
            self._holders.pop(part, None)

    def _is_late(self, holder: Holder) -> bool:
        """Whether its heartbeat is, or has been once."""
        now = time.monotonic()
        if now - self._beats.get(holder, now) > LATE_SECONDS:
            self._late.add(holder)
        return holder in self._late

    def _take(self, what: str, holder: Holder, part: int = 0) -> None:
        holders = self._holders[what]
        if holder not in holders:
            alive = [other for other in holders if not other.is_over]
            self.twice[holder.role] += part * sum(map(self._is_late, alive)) if part else len(alive)
            holders.add(holder)


def _is_of_images(request: bytes) -> bool:
    return bool(json.loads(request)["QueueUrl"].endswith(QUEUE))
