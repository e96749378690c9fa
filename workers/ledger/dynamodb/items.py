"""The layout of a fleet's table: which items it has, and how a record becomes one and back.

The table has the string keys `pk` and `sk`, and one kind of item for each thing to be known:

    pk                     sk                what
    /ledger                version           of this layout; the first one did not say so
    /answers/KIND/PART.    ETag size         an answer, for good and for all runs
    RUN/run                setting           what the run was begun with; `told …`, by whom that was
    RUN/decided/PARTITION  index             the label worker has decided about this image, and what
    RUN/sent/PART          PROCESS           of which of an open part's SQS knows, by this process
    RUN/part               number            a part of the listing that is not done
    RUN/label              listing           how far that has come, and whose it is
    RUN/label              tally/PROCESS     how many a process of the label worker has decided
    RUN/label              parts/PROCESS     how many parts have ended with it
    RUN/label              end               all are decided, how many, and the end is sent
    RUN/result/PARTITION   order of names    a text worker's result
    RUN/text               tally/PROCESS     how many results a process has brought
    RUN/text               counted           how many there were when somebody counted
    RUN/text               end               the end has come
    RUN/text               foreign-end       an end mark without counts has come
    /alive/KIND            worker            its heartbeat

Of versions before: RUN/unsent/PART had each index that had yet to be sent, and RUN/failed/PARTITION
what can never be looked at. One before that divided a run into shards: RUN/failed/SHARD,
RUN/label/SHARD with tallies, and an end of each, `end/SHARD`, in RUN/text.

Images are spread over partitions because one value of `pk` takes about 1,000 write units a second.
A tally is written a moment after what it counts, so that it may be behind, and never ahead.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable
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

VERSION = 4
PARTITIONS = 4
# no run is named like these
LEDGER, ANSWERS, ALIVE = "/ledger", "/answers", "/alive"
# all results are read by each text worker, at a price by size
COMPRESS_BYTES = 200
# in characters of up to 4 bytes; a sort key has 1,024 bytes at most
ORDER_LENGTH = 240


def settled_of(found: Iterable[Item]) -> dict[str, str]:
    """What a run was begun with; an older version kept the number of shards only, as a number."""
    return {name: str(values.get("value", values.get("shards"))) for name, values in found}


def partition_of(index: str) -> int:
    """The partition in which an image's decision and its result stand."""
    return zlib.crc32(index.encode()) % PARTITIONS


def decided_key(run: str, index: str) -> Key:
    """Where it stands that the image is decided."""
    return f"{run}/decided/{partition_of(index)}", index


def sent_key(run: str, part: int, process: str) -> Key:
    """Where it stands what a process has sent of a part."""
    return f"{run}/sent/{part}", process


def sent_values(indexes: Iterable[str]) -> Values:
    """What that item holds."""
    return {"indexes": zlib.compress(json.dumps(sorted(indexes)).encode())}


def sent_of(values: Values) -> list[str]:
    """The indexes that it names."""
    indexes: list[str] = json.loads(zlib.decompress(values["indexes"]))
    return indexes


def result_key(run: str, filed: str) -> Key:
    """Where an image's result stands."""
    # the digest tells apart what has the same natural key, or the same beginning of it
    digest = hashlib.sha256(filed.encode()).hexdigest()[:16]
    index = filed.removeprefix(BY_HAND)
    order = natural_key(index)[:ORDER_LENGTH]
    return f"{run}/result/{partition_of(index)}", f"{order}\0{digest}"


def result_pks(run: str) -> list[str]:
    """All that hold results."""
    return [f"{run}/result/{partition}" for partition in range(PARTITIONS)]


def answer_key(kind: str, picture: Picture) -> Key:
    """Where an answer stands."""
    return f"{ANSWERS}/{kind}/{partition_of(picture.etag)}", f"{picture.etag} {picture.size}"


def picture_of(sort_key: str) -> Picture:
    """Of which picture an answer is."""
    etag, _, size = sort_key.rpartition(" ")
    return Picture(etag, int(size))


# what the item of a decision may hold whatever it is
OF_EVERY_DECISION = {"by", "known"}


def decision_values(decision: Decision) -> Values:
    """What the item of a decision holds; of an image without a label hardly anything."""
    known = {"known": 1} if decision.known else {}
    if not (decision.labels or decision.near or decision.failure is not None):
        return known
    return {
        **decision.picture._asdict(),
        **known,
        "part": decision.part,
        "labels": dump(decision.labels, Labels) if decision.labels else None,
        "failure": decision.failure,
        "near": dump(decision.near) if decision.near else None,
    }


def is_to_be_sent(part: int, values: Values) -> bool:
    """Whether an item is a decision of this part with a label; those of the versions before, which
    had a list, are not.
    """
    return values.get("part") == part and "labels" in values and "by" in values


def decision_counts(decision: Decision) -> Counter[str]:
    """What a decision adds to a tally."""
    counts = Counter(
        decided=1,
        labelled=int(bool(decision.labels)),
        failed=int(decision.failure is not None),
        known=int(decision.known),
        near=int(decision.near is not None),
    )
    # without those that are 0
    return +counts


def decision_of(run: str, index: str, values: Values, part: int = 0) -> Decision:
    """The decision that an item holds, a decided one or an older version's unsent or failed one."""
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


def counts_of(values: Values) -> Counter[str]:
    """What a run's end says of its decisions."""
    return Counter({**values, "labelled": values["expected"]})


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


def counts_of_result(values: Values) -> Counter[str]:
    """What the result that an item holds has added to a tally."""
    row, line = row_of(values)
    result = json.loads(row)
    counts = Counter(done=1, with_text=int(line is not None))
    counts["failed"] += result.get("failure") is not None
    counts["by_hand"] += str(values["index"]).startswith(BY_HAND)
    counts["known"] += bool(result.get("known"))
    return counts


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
