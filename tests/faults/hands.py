"""What two living workers of a fleet have in hand at once: both of them may pay for it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any, Protocol

from bench.stub.scenario import QUEUE

# images in a part of the listing
PART = 5


class Holder(Protocol):
    """One life of a worker."""

    role: str

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""


class Hands:
    """Hears what the services do; an image is in hand from its message's receive to its delete, a
    part from when it is taken in the table until it is done there.
    """

    def __init__(self) -> None:
        self._holders: defaultdict[str, set[Holder]] = defaultdict(set)
        self._images: dict[str, str] = {}
        """What each receipt is for."""
        self.twice: Counter[str] = Counter()
        """How many images were in a second pair of hands, by role."""

    def saw(self, holder: Holder, operation: str, request: bytes, answer: bytes) -> None:
        """Takes in what a service has done for a worker."""
        match operation:
            case "ReceiveMessage":
                asked, messages = json.loads(request), json.loads(answer).get("Messages", [])
                if asked["QueueUrl"].endswith(QUEUE):
                    for message in messages:
                        self._images[message["ReceiptHandle"]] = message["Body"]
                        self._take(message["Body"], holder, 1)
            case "DeleteMessageBatch":
                for entry in json.loads(request)["Entries"]:
                    self._holders.pop(self._images.get(entry["ReceiptHandle"], ""), None)
            case "TransactWriteItems":
                for action in json.loads(request)["TransactItems"]:
                    self._part(holder, *next(iter(action.items())))

    def _part(self, holder: Holder, kind: str, what: Any) -> None:
        key = what.get("Key")
        if not key or not key["pk"]["S"].endswith("/part"):
            return
        part = f"part {key['sk']['S']}"
        if kind == "Update" and what["ExpressionAttributeValues"][":new"]["S"]:
            self._take(part, holder, PART)
        else:
            self._holders.pop(part, None)

    def _take(self, what: str, holder: Holder, images: int) -> None:
        holders = self._holders[what]
        if holder not in holders:
            self.twice[holder.role] += images * sum(not other.is_over for other in holders)
            holders.add(holder)
