"""The layout of a fleet's table: which items it has, and how a record becomes one and back.

The table has the string keys `pk` and `sk`, and one kind of item for each thing to be known:

    pk                     sk                what
    /ledger                version           of this layout; the first one did not say so
    /answers/KIND/PART.    ETag size         an answer, for good and for all runs
    RUN/run                setting           what the run was begun with; `told …`, by whom that was
    RUN/decided/PARTITION  index             the label worker has decided about this image, and what
    RUN/unsent/PART        index             and found a label of which SQS may not know
    RUN/failed/PARTITION   index             and can never look at it
    RUN/part               number            a part of the listing that is not done
    RUN/label              listing           how far that has come, and whose it is
    RUN/label              tally/PROCESS     how many a process of the label worker has decided
    RUN/label              end               all are decided and the end is sent
    RUN/result/PARTITION   order of names    a text worker's result
    RUN/text               tally/PROCESS     how many results a process has brought
    RUN/text               end               the end has come
    RUN/text               foreign-end       an end mark without counts has come
    /alive/KIND            worker            its heartbeat

The version before divided a run into shards: it had RUN/failed/SHARD, RUN/label/SHARD with tallies,
and an end of each, `end/SHARD`, in RUN/text.

Images are spread over partitions because one value of `pk` takes about 1,000 write units a second.
A process has its own tally, so that transactions of two workers never wait for the same item.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from typing import Any

from workers.model import (
    BY_HAND,
    Decision,
    Label,
    Labels,
    Listed,
    Part,
    Picture,
    Result,
    as_plain,
    dump,
    load,
    natural_key,
)
from workers.output.rows import ResultRow, result_row

Key = tuple[str, str]
Values = dict[str, Any]
"""What an item holds beside its keys: texts, whole numbers and bytes."""
Item = tuple[str, Values]
"""The sort key of an item, and what it holds."""

VERSION = 3
PARTITIONS = 4
# no run is named like these
LEDGER, ANSWERS, ALIVE = "/ledger", "/answers", "/alive"
# a write unit is 1 KB; an image with much text is made smaller
COMPRESS_BYTES = 700
# in characters of up to 4 bytes; a sort key has 1,024 bytes at most
ORDER_LENGTH = 240


def partition_of(index: str) -> int:
    """The partition in which an image's decision and its result stand."""
    return zlib.crc32(index.encode()) % PARTITIONS


def decided_key(decision: Decision) -> Key:
    """Where it stands that the image is decided."""
    return f"{decision.run}/decided/{partition_of(decision.index)}", decision.index


def unsent_key(decision: Decision) -> Key:
    """Where a decision stands until it is known that SQS has its index."""
    return f"{decision.run}/unsent/{decision.part}", decision.index


def result_key(run: str, filed: str) -> Key:
    """Where an image's result stands."""
    # the digest tells apart what has the same natural key, or the same beginning of it
    digest = hashlib.sha256(filed.encode()).hexdigest()[:16]
    index = filed.removeprefix(BY_HAND)
    order = natural_key(index)[:ORDER_LENGTH]
    return f"{run}/result/{partition_of(index)}", f"{order}\0{digest}"


def answer_key(kind: str, picture: Picture) -> Key:
    """Where an answer stands."""
    return f"{ANSWERS}/{kind}/{partition_of(picture.etag)}", f"{picture.etag} {picture.size}"


def picture_of(sort_key: str) -> Picture:
    """Of which picture an answer is."""
    etag, _, size = sort_key.rpartition(" ")
    return Picture(etag, int(size))


def decision_items(decision: Decision) -> dict[Key, Values]:
    """The items of a decision."""
    values = {
        **decision.picture._asdict(),
        "labels": dump(decision.labels, Labels) if decision.labels else None,
        "failure": decision.failure,
        "known": 1 if decision.known else None,
        "near": dump(decision.near) if decision.near else None,
    }
    puts: dict[Key, Values] = {decided_key(decision): {}}
    if decision.labels or decision.near:
        puts[decided_key(decision)] = {**values, "part": decision.part}
    if decision.labels:
        puts[unsent_key(decision)] = values
    if decision.failure is not None:
        puts[f"{decision.run}/failed/{partition_of(decision.index)}", decision.index] = values
    return puts


def decision_counts(decision: Decision) -> Counter[str]:
    """What a decision adds to a tally."""
    labelled, failed = bool(decision.labels), decision.failure is not None
    counts = Counter(decided=1, labelled=int(labelled), failed=int(failed))
    return counts + Counter(known=int(decision.known))


def decision_of(run: str, index: str, values: Values, part: int = 0) -> Decision:
    """The decision that an unsent, decided or failed item holds; a decided one may be empty."""
    # the version before kept one label, and no size
    old = f"[{values['label']}]" if "label" in values else None
    labels, near = values.get("labels", old), values.get("near")
    return Decision(
        run,
        values.get("part", part),
        index,
        Picture(values.get("etag", ""), values.get("size", 0)),
        load(Labels, labels) if labels else (),
        values.get("failure"),
        bool(values.get("known")),
        load(Label, near) if near else None,
    )


def result_values(result: Result) -> Values:
    """What a result's item holds."""
    row, line = result_row(result)
    data = row.encode()
    smaller = zlib.compress(data) if len(data) > COMPRESS_BYTES else row
    return {"index": result.filed, "row": smaller, "line": line}


def result_counts(result: Result) -> Counter[str]:
    """What a result adds to a tally."""
    with_text, failed = bool(result.lines), result.failure is not None
    counts = Counter(done=1, with_text=int(with_text), failed=int(failed))
    return counts + Counter(by_hand=int(result.by_hand), known=int(result.known))


def row_of(values: Values) -> ResultRow:
    """The row that a result's item holds."""
    row = values["row"]
    if isinstance(row, bytes):
        row = zlib.decompress(row).decode()
    return ResultRow(row, values.get("line"))


def order_of(item: Item) -> str:
    """By this results come sorted: the beginning of the index's natural key."""
    return item[0].rpartition("\0")[0]


def whole_order_of(item: Item) -> tuple[str, str]:
    """By this results are to be sorted: the natural key, and the index where that is the same."""
    index = index_of(item)
    return natural_key(index), index


def index_of(item: Item) -> str:
    """Of which image a result is, however it was asked for."""
    return str(item[1]["index"]).removeprefix(BY_HAND)


def is_by_hand(item: Item) -> bool:
    """Whether a result was asked for by hand."""
    return str(item[1]["index"]).startswith(BY_HAND)


def part_key(run: str, number: int) -> Key:
    """Where a part stands until it is done."""
    return f"{run}/part", f"{number:012d}"


def part_values(part: Part) -> Values:
    """What that item holds."""
    values = as_plain(part)
    del values["number"]
    return dict(values)


def part_of(item: Item) -> Part:
    """The part that an item holds."""
    number, values = item
    return Part(int(number), **values)


def listing_key(run: str) -> Key:
    """Where it stands how far a run's listing has come."""
    return f"{run}/label", "listing"


def listed_of(values: Values) -> Listed:
    """How far the listing has come, as its item says."""
    return Listed(**{**values, "whole": bool(values.get("whole"))})


def listed_values(listed: Listed) -> Values:
    """What that item holds."""
    return {**as_plain(listed), "whole": int(listed.whole)}


def attributes(key: Key, values: Values | None = None) -> dict[str, Any]:
    """An item as DynamoDB takes it; None is left out."""
    kinds = {str: "S", int: "N", bytes: "B"}
    whole = {"pk": key[0], "sk": key[1], **(values or {})}
    return {
        name: {kinds[type(value)]: str(value) if isinstance(value, int) else value}
        for name, value in whole.items()
        if value is not None
    }


def plain(item: dict[str, Any]) -> Item:
    """An item as DynamoDB gives it."""
    values: Values = {
        name: int(value) if kind == "N" else value
        for name, typed in item.items()
        for kind, value in typed.items()
    }
    del values["pk"]
    return values.pop("sk"), values
