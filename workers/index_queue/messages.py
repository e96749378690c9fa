"""The messages on the index queue, their wire format: an image's index, or the end of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workers.aws.answers import MessageAnswer
from workers.model import NO_PICTURE, Decision, Found, Label, Picture, RunEnd, dump, filed, load
from workers.settings import run_name_problem

END_MARK = "-1"
# bigger numbers are nobody's counts: a run that believed them could never end
MOST_IMAGES, MOST_BYTES = 10**12, 10**14
# in UTF-8, of S3's keys and of what is said of an image: no ledger need take more
MOST_INDEX_BYTES, MOST_FOUND_BYTES = 1024, 200_000
# it goes into the header of a request
ETAG = re.compile(r'(W/)?"?[\x21\x23-\x7e]{0,200}"?')
# SQS carries what XML 1.0 does; said by what it does not, it compiles ten times as fast
NOT_SENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: an image's index, or the run's end, or neither (`problem`).

    A `foreign_end` has no counts: it comes from somebody else's label worker. An image that says
    nothing of its picture is asked for `by_hand`; no end counts it.
    """

    receipt: str
    receives: int
    run: str
    index: str = ""
    picture: Picture = NO_PICTURE
    labels: tuple[Label, ...] = ()
    by_hand: bool = False
    end: RunEnd | None = None
    foreign_end: bool = False
    problem: str | None = None

    @property
    def filed(self) -> str:
        """Under what the ledgers file its image."""
        return filed(self.index, self.by_hand)


def attribute(value: str | int) -> dict[str, str]:
    """A message's attribute as SQS takes it."""
    kind = "Number" if isinstance(value, int) else "String"
    return {"DataType": kind, "StringValue": str(value)}


def image_entry(decision: Decision) -> dict[str, Any]:
    """The message that says: this image has the label."""
    found = Found(decision.picture.etag, None, decision.picture.size, decision.labels)
    return {
        "MessageBody": decision.index,
        "MessageAttributes": {
            "run": attribute(decision.run),
            "found": attribute(dump(found)),
        },
    }


def end_entry(end: RunEnd) -> dict[str, Any]:
    """The message that says: the run has sent so many distinct indexes, there are no more."""
    return {
        "MessageBody": END_MARK,
        "MessageAttributes": {
            "run": attribute(end.run),
            "expected": attribute(end.expected),
        },
    }


def parse(message: MessageAnswer, own_run: str, label_sender: str | None = None) -> Received:
    """Reads a message; one without a run belongs to `own_run`.

    Where a `label_sender` is given, nobody else may send an end, say what was found, or ask for
    images of another run, which would cost without bound.
    """
    attributes = {
        name: value.get("StringValue", "")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    body, receipt = message["Body"], message["ReceiptHandle"]
    receives = int(message["Attributes"]["ApproximateReceiveCount"])
    # of a role, a session's name follows
    sender = message["Attributes"]["SenderId"].partition(":")[0] if label_sender else None
    run = attributes.get("run", own_run)
    try:
        if problem := run_name_problem(run):
            raise ValueError(problem)
        if sender != label_sender and run != own_run:
            raise ValueError(
                f"sent by {sender} for the run {run}; by hand an image may be asked for in the run "
                f"that the text worker is at, {own_run}"
            )
        if sender != label_sender and (body == END_MARK or "found" in attributes):
            raise ValueError(
                f"sent by {sender}, in the name of the label worker, which is {label_sender}; if "
                "that is wrong, correct CARTEXT_LABEL_SENDER, then let the label worker send it "
                "again: cartext resend"
            )
        if body == END_MARK and "expected" not in attributes:
            return Received(receipt, receives, run, foreign_end=True)
        if body == END_MARK:
            return Received(receipt, receives, run, end=_end(run, attributes))
        _within(body, MOST_INDEX_BYTES, "an index")
        _within(attributes.get("found", ""), MOST_FOUND_BYTES, "what was found")
        found = load(Found, attributes.get("found", "{}"))
        if not ETAG.fullmatch(found.etag):
            raise ValueError(f"{found.etag!r} is no ETag")
        if not 0 <= (found.size or 0) <= MOST_BYTES:
            raise ValueError(f"no object has {found.size} bytes")
        return Received(
            receipt,
            receives,
            run,
            index=body,
            picture=Picture(found.etag, found.size or 0),
            labels=found.labels or ((found.label,) if found.label else ()),
            by_hand="found" not in attributes,
        )
    except (ValueError, KeyError, RecursionError) as error:
        problem = f"{body[:80]!r}: {' '.join(str(error).split())[:300]}"
        return Received(receipt, receives, own_run, problem=problem)


def _within(text: str, most: int, what: str) -> None:
    if len(text.encode()) > most:
        raise ValueError(f"{what} has {most:,} bytes at most")


def _end(run: str, attributes: dict[str, str]) -> RunEnd:
    expected, shards = int(attributes["expected"]), int(attributes.get("shards", 1))
    if shards != 1:
        raise ValueError(
            f"the end of one of {shards} shards, into which the version before divided a run; "
            "begin another run with a new CARTEXT_RUN: what is known by now costs nothing"
        )
    if not 0 <= expected <= MOST_IMAGES:
        raise ValueError(f"no run has {expected} images")
    return RunEnd(run, expected)


def unsendable(index: str) -> str | None:
    """Why an index cannot be put on the queue, if it cannot."""
    if index == END_MARK:
        return f"not sendable: the key {END_MARK} is the end mark; rename the object"
    if NOT_SENDABLE.search(index):
        return "not sendable: the key has characters that SQS does not carry; rename the object"
    return None
