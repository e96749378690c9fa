"""A queue that does on purpose, and often, what SQS is allowed to do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.unit.fakes import client_error

Json = dict[str, Any]

# SenderIds, as SQS tells them of a role's session and of a user
LABEL_WORKER, SOMEBODY_ELSE = "AROA0LABEL0WORKER:i-0123", "AIDA0SOMEBODY0ELSE"


def written_by_hand(body: str, **attributes: str) -> Json:
    """An entry whose attributes are texts."""
    values = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
    return {"MessageBody": body, "MessageAttributes": values}


MALFORMED = (
    written_by_hand("odd-1.jpg", found="{"),
    written_by_hand("odd-2.jpg", run="../.."),
    written_by_hand("odd-3.jpg", found='{"label":{}}'),
    written_by_hand("-1", expected="many", shard="0", shards="1"),
    written_by_hand("-1", expected="9" * 30, shard="0", shards="1"),
    written_by_hand("-1", expected="0", shard="0", shards="5"),
)


@dataclass
class Message:
    body: str
    attributes: Json
    sender: str = LABEL_WORKER
    visible_from: float = 0.0
    receives: int = 0
    receipt: str | None = None
    deleted: bool = False

    def as_received(self) -> Json:
        """As SQS hands it out."""
        return {
            "ReceiptHandle": self.receipt,
            "Body": self.body,
            "MessageAttributes": self.attributes,
            "Attributes": {
                "ApproximateReceiveCount": str(self.receives),
                "SenderId": self.sender,
            },
        }


@dataclass
class UnrulyQueue:
    """SQS's client, as far as the workers use it. One lock; `chance` scales all mischief (0-1).

    Messages come in any order (`order`), twice at once, in short batches or not at all although
    there are some; they come again before their time; only the newest receipt of a message is good;
    entries fail by the queue's fault though some of them were done; whole calls fail; a deleted
    message may come back. A second of hiding that is asked for takes `second` seconds here.
    """

    random: random.Random
    order: str = "random"
    chance: float = 1.0
    second: float = 0.007
    before_delete: Callable[[Message], None] = lambda _: None
    messages: list[Message] = field(default_factory=list)
    deleted: list[Message] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._receipts: dict[str, Message] = {}

    def _does(self, probability: float) -> bool:
        return self.random.random() < probability * self.chance

    def add(self, entry: Json, sender: str = LABEL_WORKER) -> None:
        """Puts a message there without any mischief."""
        attributes = entry.get("MessageAttributes", {})
        with self._lock:
            self.messages.append(Message(entry["MessageBody"], attributes, sender))

    def _perhaps_fail(self) -> None:
        self.calls += 1
        if self._does(0.05):
            code, status = self.random.choice(
                [("RequestThrottled", 403), ("InternalError", 500), ("ServiceUnavailable", 503)]
            )
            raise client_error(code, status)

    def send_message_batch(self, *, Entries: list[Json], **_: Any) -> Json:  # noqa: N803
        with self._lock:
            self._perhaps_fail()

            def send(entry: Json) -> bool:
                copies = 2 if self._does(0.1) else 1
                for _ in range(copies):
                    self.messages.append(Message(entry["MessageBody"], entry["MessageAttributes"]))
                return True

            return self._one_by_one(Entries, send)

    def _one_by_one(self, entries: list[Json], do: Callable[[Json], bool]) -> Json:
        assert 1 <= len(entries) <= 10
        assert len({entry["Id"] for entry in entries}) == len(entries)
        reply: Json = {"Successful": [], "Failed": []}
        for entry in entries:
            lost = self._does(0.1)
            done = do(entry) if not lost or self._does(0.5) else True
            if lost:
                failed = {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                reply["Failed"].append(failed)
            elif done:
                reply["Successful"].append({"Id": entry["Id"]})
            else:
                failed = {"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
                reply["Failed"].append(failed)
        return {kind: found for kind, found in reply.items() if found}

    def receive_message(
        self,
        *,
        MaxNumberOfMessages: int,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
        **_: Any,
    ) -> Json:
        with self._lock:
            self._perhaps_fail()
            now = time.monotonic()
            most = self.random.randint(0, MaxNumberOfMessages) if self._does(0.5) else None
            there = [m for m in self._in_order() if m.visible_from <= now]
            chosen = there[: MaxNumberOfMessages if most is None else most]
            doubled = [m for m in chosen if self._does(0.1)]
            out = [
                self._hand_out(m, now, VisibilityTimeout)
                for m in (chosen + doubled)[:MaxNumberOfMessages]
            ]
        if not out:
            time.sleep(0.001)
            return {}
        return {"Messages": out}

    def _in_order(self) -> list[Message]:
        if self.order == "random":
            return self.random.sample(self.messages, len(self.messages))
        if self.order == "ends first":
            return sorted(self.messages, key=lambda m: (m.body != "-1", self.random.random()))
        return self.messages if self.order == "as sent" else self.messages[::-1]

    def _hand_out(self, message: Message, now: float, timeout: int) -> Json:
        message.receives += 1
        # now and then it stays visible: another receive gets it too
        early = 0.0 if self._does(0.1) else self.random.uniform(1 - 0.9 * self.chance, 1)
        message.visible_from = now + timeout * self.second * early
        receipt = f"{id(message)}-{message.receives}"
        message.receipt = receipt
        self._receipts[receipt] = message
        return message.as_received()

    def _by(self, receipt: str) -> Message | None:
        message = self._receipts[receipt]
        return message if message.receipt == receipt and not message.deleted else None

    def delete_message_batch(self, *, Entries: list[Json], **_: Any) -> Json:  # noqa: N803
        def delete(entry: Json) -> bool:
            message = self._by(entry["ReceiptHandle"])
            if message is None:
                # SQS says either that it is stale, or that all is well
                return self._does(0.5)
            self.before_delete(message)
            self.deleted.append(message)
            if self._does(0.05):
                message.visible_from = time.monotonic() + 0.005
                return True
            message.deleted = True
            self.messages.remove(message)
            return True

        with self._lock:
            self._perhaps_fail()
            return self._one_by_one(Entries, delete)

    def change_message_visibility_batch(self, *, Entries: list[Json], **_: Any) -> Json:  # noqa: N803
        def change(entry: Json) -> bool:
            message = self._by(entry["ReceiptHandle"])
            if message is None:
                return False
            message.visible_from = time.monotonic() + entry["VisibilityTimeout"] * self.second
            return True

        with self._lock:
            self._perhaps_fail()
            return self._one_by_one(Entries, change)

    def get_queue_attributes(self, *, AttributeNames: list[str], **_: Any) -> Json:  # noqa: N803
        with self._lock:
            now = time.monotonic()
            visible = sum(m.visible_from <= now for m in self.messages)
            known = {
                "QueueArn": "arn:aws:sqs:us-east-1:1:index",
                "RedrivePolicy": json.dumps({"maxReceiveCount": 10**9}),
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(len(self.messages) - visible),
                "ApproximateNumberOfMessagesDelayed": "0",
            }
            return {"Attributes": {name: known[name] for name in AttributeNames}}
