"""The messages on the index queue, their wire format: an image's index, or the end of a shard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workers.model import Decision, Found, Label, ShardEnd, dump, load
from workers.settings import RUN_NAME

END_MARK = "-1"
# a bigger number is nobody's count, and no ledger holds it
MOST = 2**63
# SQS carries what XML 1.0 does
NOT_SENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: an image's index, or a shard's end, or neither (`problem`).

    `end` without counts (None in `shards`) comes from somebody else's label worker.
    """

    receipt: str
    receives: int
    run: str
    index: str = ""
    shard: int = 0
    etag: str = ""
    label: Label | None = None
    end: ShardEnd | None = None
    foreign_end: bool = False
    problem: str | None = None


def _attribute(value: str | int) -> dict[str, str]:
    kind = "Number" if isinstance(value, int) else "String"
    return {"DataType": kind, "StringValue": str(value)}


def image_entry(decision: Decision) -> dict[str, Any]:
    """The message that says: this image has the label."""
    found = Found(decision.etag, decision.label)
    return {
        "MessageBody": decision.index,
        "MessageAttributes": {
            "run": _attribute(decision.run),
            "shard": _attribute(decision.shard),
            "found": _attribute(dump(found)),
        },
    }


def end_entry(end: ShardEnd) -> dict[str, Any]:
    """The message that says: the shard has sent so many distinct indexes, there are no more."""
    return {
        "MessageBody": END_MARK,
        "MessageAttributes": {
            "run": _attribute(end.run),
            "shard": _attribute(end.shard),
            "shards": _attribute(end.shards),
            "expected": _attribute(end.expected),
        },
    }


def parse(message: dict[str, Any], own_run: str) -> Received:
    """Reads a message; one without a run belongs to `own_run`."""
    attributes = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    receipt = message["ReceiptHandle"]
    receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    run = attributes.get("run", own_run)
    body = message["Body"]
    try:
        if not re.fullmatch(RUN_NAME, run):
            raise ValueError(f"the run's name {run!r} is not one")
        if body == END_MARK and "expected" not in attributes:
            return Received(receipt, receives, run, foreign_end=True)
        if body == END_MARK:
            end = ShardEnd(
                run,
                int(attributes["shard"]),
                int(attributes["shards"]),
                int(attributes["expected"]),
            )
            if not (0 <= end.shard < end.shards < MOST and 0 <= end.expected < MOST):
                raise ValueError(f"the end's numbers do not fit: {end}")
            return Received(receipt, receives, run, end=end)
        found = load(Found, attributes.get("found", "{}"))
        return Received(
            receipt,
            receives,
            run,
            index=body,
            shard=int(attributes.get("shard", 0)),
            etag=found.etag,
            label=found.label,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Received(receipt, receives, own_run, problem=f"{body[:80]!r}: {error}")


def unsendable(index: str) -> str | None:
    """Why an index cannot be put on the queue, if it cannot."""
    if index == END_MARK:
        return f"not sendable: the key {END_MARK} is the end mark; rename the object"
    if NOT_SENDABLE.search(index):
        return "not sendable: the key has characters that SQS does not carry; rename the object"
    return None
