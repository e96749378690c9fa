"""Standard queues with long polls and visibility timeouts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from dataclasses import dataclass
from time import time
from typing import Any

from bench.stub.http import TRACE, Request, Respond
from bench.stub.scenario import Scenario, vary

Json = dict[str, Any]


@dataclass(slots=True)
class Message:
    """A message; `reappears` is its visibility timeout while it is hidden."""

    number: int
    body: str
    attributes: Json
    receives: int = 0
    reappears: asyncio.TimerHandle | None = None

    @property
    def receipt(self) -> str:
        """As long as a real one."""
        return f"{self.number}/{self.receives}/".ljust(360, "A")


@dataclass(slots=True)
class Poll:
    """A request that waits for messages."""

    request: Json
    respond: Respond
    gives_up: asyncio.TimerHandle | None = None


class Sqs:
    """The queues, each made when it is first asked."""

    def __init__(self, scenario: Scenario, counts: dict[str, int]) -> None:
        self._scenario = scenario
        self._counts = counts
        self._queues: dict[str, Queue] = {}
        self.deleted: dict[str, float] = {}
        """When the message of each body was last deleted, in seconds since 1970."""

    def handle(self, request: Request, respond: Respond, operation: str) -> None:
        """Answers an SQS call (AWS JSON 1.0)."""
        self._counts[f"SQS {operation}"] += 1
        body = json.loads(request.body)
        # under whatever address it is asked
        name = body["QueueUrl"].rpartition("/")[2]
        queue = self._queues.setdefault(name, Queue(self._scenario, self.deleted))
        queue.handle(body, respond, operation)


class Queue:
    """The calls that the workers make, and the single ones of the sequential way."""

    def __init__(self, scenario: Scenario, deleted: dict[str, float]) -> None:
        self._seconds = scenario.sqs_seconds
        self._deleted = deleted
        self._visible: deque[Message] = deque()
        self._hidden: dict[int, Message] = {}
        self._polls: deque[Poll] = deque()
        self._sent = 0

    def handle(self, body: Json, respond: Respond, operation: str) -> None:
        """Answers a call about this queue."""
        if operation == "ReceiveMessage":
            # half of the latency is the way there
            asyncio.get_running_loop().call_later(
                vary(self._seconds) / 2, self._receive, body, respond
            )
            return
        after = vary(self._seconds)
        if operation.endswith("Batch"):
            one = getattr(self, f"_{operation.removesuffix('Batch')}")
            reply = [{"Id": entry["Id"], **one(entry)} for entry in body["Entries"]]
            _answer(respond, {"Successful": reply, "Failed": []}, after)
        else:
            _answer(respond, getattr(self, f"_{operation}")(body), after)

    def _GetQueueAttributes(self, _: Json) -> Json:  # noqa: N802 - the operation's name
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(self._visible)),
                "ApproximateNumberOfMessagesNotVisible": str(len(self._hidden)),
                "ApproximateNumberOfMessagesDelayed": "0",
            }
        }

    def _SendMessage(self, entry: Json) -> Json:  # noqa: N802
        self._sent += 1
        message = Message(self._sent, entry["MessageBody"], entry.get("MessageAttributes", {}))
        # it can be received when half of the sender's latency is over
        asyncio.get_running_loop().call_later(self._seconds / 2, self._show, message)
        return {"MessageId": str(message.number), "MD5OfMessageBody": _md5(message.body)}

    def _DeleteMessage(self, entry: Json) -> Json:  # noqa: N802
        if message := self._hidden.pop(_number(entry), None):
            self._deleted[message.body] = time()
            if message.reappears:
                message.reappears.cancel()
        return {}

    def _ChangeMessageVisibility(self, entry: Json) -> Json:  # noqa: N802
        if message := self._hidden.get(_number(entry)):
            self._hide(message, entry["VisibilityTimeout"])
        return {}

    def _show(self, message: Message) -> None:
        self._hidden.pop(message.number, None)
        self._visible.append(message)
        if self._polls:
            poll = self._polls.popleft()
            if poll.gives_up:
                poll.gives_up.cancel()
            # the other messages of a batch arrive in this moment, too
            asyncio.get_running_loop().call_soon(self._receive, poll.request, poll.respond)

    def _hide(self, message: Message, seconds: float) -> None:
        if message.reappears:
            message.reappears.cancel()
        self._hidden[message.number] = message
        loop = asyncio.get_running_loop()
        message.reappears = loop.call_later(seconds, self._show, message)

    def _receive(self, request: Json, respond: Respond) -> None:
        if not self._visible and request.get("WaitTimeSeconds"):
            poll = Poll(request, respond)
            loop = asyncio.get_running_loop()
            poll.gives_up = loop.call_later(request["WaitTimeSeconds"], self._give_up, poll)
            self._polls.append(poll)
            return
        messages = []
        for _ in range(min(len(self._visible), request.get("MaxNumberOfMessages", 1))):
            message = self._visible.popleft()
            message.receives += 1
            self._hide(message, request.get("VisibilityTimeout", 30))
            messages.append(
                {
                    "MessageId": str(message.number),
                    "ReceiptHandle": message.receipt,
                    "Body": message.body,
                    "MD5OfBody": _md5(message.body),
                    "Attributes": {"ApproximateReceiveCount": str(message.receives)},
                    "MessageAttributes": message.attributes,
                }
            )
        _answer(respond, {"Messages": messages} if messages else {}, vary(self._seconds) / 2)

    def _give_up(self, poll: Poll) -> None:
        self._polls.remove(poll)
        _answer(poll.respond, {}, 0)


def _number(entry: Json) -> int:
    return int(entry["ReceiptHandle"].partition("/")[0])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _answer(respond: Respond, reply: Json, after: float) -> None:
    headers = "Content-Type: application/x-amz-json-1.0\r\n" + TRACE
    respond(json.dumps(reply).encode(), after=after, headers=headers)
