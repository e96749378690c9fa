"""SQS: a queue's policies, who has sent a message, and messages that others overtake."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from moto.sqs.models import DEFAULT_SENDER_ID, Message, Queue, SQSBackend
from moto.sqs.responses import SQSResponse
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from sandbox.aws.moto.patch import Before, replaces

# RedriveAllowPolicy is taken and never shown.
Queue.BASE_ATTRIBUTES.append("RedriveAllowPolicy")
setattr(Queue, "redrive_allow_policy", None)  # noqa: B010 - moto's class does not know it


@replaces(Queue, "_set_attributes")
def _keep_the_policy(
    queue: Queue, set_attributes: Before, new: dict[str, Any], now: float | None = None
) -> None:
    # Policy is forgotten whenever another attribute is set.
    set_attributes(queue, {"Policy": getattr(queue, "policy", None), **new}, now)


@replaces(Queue, "attributes")
def _show_policies_as_aws_does(queue: Queue, attributes: Before) -> dict[str, Any]:
    # A policy that was taken away shows as an empty text; RedrivePolicy has blanks that AWS does
    # not write, and the provider compares texts.
    shown = attributes(queue)
    if queue.redrive_policy:
        shown["RedrivePolicy"] = json.dumps(queue.redrive_policy, separators=(",", ":"))
    return {name: value for name, value in shown.items() if value != ""}


_sender: ContextVar[str] = ContextVar("_sender", default=DEFAULT_SENDER_ID)


# Whoever sends it, SenderId is that of one and the same user.
@replaces(SQSResponse, "send_message")
@replaces(SQSResponse, "send_message_batch")
def _know_who_sends(response: SQSResponse, send: Before) -> Any:
    sts = sts_backends[response.current_account][get_partition(response.region)]
    user_id, _, _ = sts.get_caller_identity(response.access_key, response.region)
    token = _sender.set(user_id)
    try:
        return send(response)
    finally:
        _sender.reset(token)


@replaces(Message, "__init__")
def _keep_who_sent(message: Message, init: Before, *args: Any, **kwargs: Any) -> None:
    init(message, *args, **kwargs)
    message.sender_id = _sender.get()


overtaken: dict[str, str] = {}
"""By its body, what overtakes a message: nobody receives it before one with that other body."""
_passed: WeakSet[Message] = WeakSet()


# A standard queue may hand out messages in any order, and moto keeps that in which they were sent.
@replaces(Queue, "messages")
def _hold_back_what_is_to_be_overtaken(queue: Queue, messages: Before) -> list[Message]:
    return [
        message
        for message in messages(queue)
        if message.body not in overtaken or message in _passed
    ]


@replaces(SQSBackend, "receive_message")
def _note_what_is_overtaken(
    backend: SQSBackend, receive: Before, queue_name: str, *args: Any, **kwargs: Any
) -> list[Message]:
    received: list[Message] = receive(backend, queue_name, *args, **kwargs)
    if overtaken:
        bodies = {message.body for message in received}
        waiting = [*backend.get_queue(queue_name)._messages]
        _passed.update(message for message in waiting if overtaken.get(message.body) in bodies)
    return received
