"""The ledger in a DynamoDB table, which the workers of a fleet share.

The table has the string keys `pk` and `sk`, and one kind of item for each thing to be known:

    pk                    sk                what
    RUN/run               shards            into how many shards the run is divided
    RUN/decided/BUCKET    index             the label worker has decided about this image
    RUN/unsent/SHARD      index             and found a label of which SQS may not know
    RUN/failed/SHARD      index             and can never look at it
    RUN/label/SHARD       tally/PROCESS     how many a process of the label worker has decided
    RUN/label/SHARD       end               the shard is done and its end is sent
    RUN/result/BUCKET     order of names    a text worker's result
    RUN/text              tally/PROCESS     how many results a process has brought
    RUN/text              end/SHARD         the shard's end has come
    RUN/text              foreign-end       an end mark without counts has come

Images are spread over buckets because one value of `pk` takes about 1,000 write units a second. An
image and its count are written in one transaction, on the condition that the image is new: the sum
of the tallies is the number of images, whatever is tried again, is doubled or breaks off. A process
has its own tally, so that transactions of two workers never wait for the same item.
"""

from __future__ import annotations

import hashlib
import heapq
import queue
import threading
import time
import uuid
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from workers.aws import AwsCalls, PartlyFailedError, code_of, error_message
from workers.errors import OutageError, PassingError, RunError, WorkerError
from workers.ledger_json import dump_label, load_label
from workers.records import (
    LabelCounts,
    LabelDecision,
    RunProgress,
    ShardEnd,
    TextResult,
    natural_key,
)
from workers.rows import ResultRow, result_row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
Key = tuple[str, str]
Values = dict[str, str | int | bytes | None]

BUCKETS = 4
# a fuller transaction is a cheaper one; what the next worker waits for waits less for it
LINGER_SECONDS, LABELLED_LINGER_SECONDS = 0.2, 0.02
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MOST_ITEMS = 100
MOST_BYTES = 3_000_000
MOST_KEYS = 100
# a write unit is 1 KB; an image with much text is made smaller
COMPRESS_BYTES = 700
# in characters of up to 4 bytes; a sort key has 1,024 bytes at most
ORDER_LENGTH = 240

# other workers' counts may be as old as this; the run's last images are looked at more often
FRESH_SECONDS, FRESH_SECONDS_AT_END, LAST_IMAGES = 1.0, 0.2, 500
PASSING_REASONS = {
    "None",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
}


@dataclass(slots=True, eq=False)
class _Write:
    """What is written whole, or not at all when the first of `puts` is there already.

    `counts` are added to a tally when it is written; `future` is done in either case. It waits
    `linger` seconds at most for others to share its transaction.
    """

    puts: dict[Key, Values] = field(default_factory=dict)
    deletes: set[Key] = field(default_factory=set)
    tally: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    linger: float = LINGER_SECONDS
    future: Future[None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """About so many bytes."""
        return sum(
            len(str(part)) * 2
            for key, values in self.puts.items()
            for part in (*key, *values.values())
        )


class _Group:
    """Writes that share a transaction."""

    def __init__(self) -> None:
        self.writes: list[_Write] = []
        self.doubles: list[_Write] = []
        self._puts: set[Key] = set()
        self._deletes: set[Key] = set()
        self._tallies: set[str] = set()
        self._size = 0

    @property
    def futures(self) -> list[Future[None]]:
        """Of everything that was added."""
        return [write.future for write in (*self.writes, *self.doubles)]

    def add(self, write: _Write) -> bool:
        """Takes a write, unless it must wait for the next group."""
        if write.counts and next(iter(write.puts)) in self._puts:
            self.doubles.append(write)
            return True
        puts, deletes = self._puts | write.puts.keys(), self._deletes | write.deletes
        tallies = self._tallies | ({write.tally} if write.counts else set())
        number, size = len(puts) + len(deletes) + len(tallies), self._size + write.size
        too_much = number > MOST_ITEMS or size > MOST_BYTES
        if self.writes and (too_much or write.puts.keys() & self._deletes):
            return False
        self.writes.append(write)
        self._puts, self._deletes, self._tallies, self._size = puts, deletes, tallies, size
        return True

    def drop(self, write: _Write) -> None:
        """Leaves out a write whose item is there already."""
        self.writes.remove(write)
        self.doubles.append(write)

    def counts(self) -> dict[str, Counter[str]]:
        """What the writes add to each tally."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for write in self.writes:
            if write.counts:
                counts[write.tally].update(write.counts)
        return counts


@dataclass(slots=True)
class _Seen:
    """A look at a run: what the others have counted, and this process as far as was visible."""

    others: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    ends: dict[str, tuple[int, int]] = field(default_factory=dict)
    foreign_end: bool = False
    stale_at: float = 0.0


class DynamoDbLedger:
    """The ledger in a table that many workers, on many instances, write at once.

    Writes of all threads are gathered for a moment and share transactions; they become durable in
    the order in which they were asked for. What other workers have counted may be
    `FRESH_SECONDS` old in `progress`. Raises RunError when the table cannot be used and OutageError
    when it does not answer; a write that fails puts that into its future.
    """

    shared = True
    refresh_seconds = 30.0

    def __init__(self, table: str, calls: AwsCalls, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._table = table
        self._calls = calls
        self._client: DynamoDBClient
        (self._client,) = calls.clients("dynamodb")
        self._fresh_seconds = fresh_seconds
        self._own_tally = f"tally/{uuid.uuid4().hex[:12]}"
        self._counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._waiting: _Write | None = None
        self._thread = threading.Thread(target=self._commit_all, name="ledger", daemon=True)
        self._thread.start()

    # --- the label worker's side ---------------------------------------------------------------

    def settle_shards(self, run: str, shards: int) -> Future[None]:
        return self._put((f"{run}/run", "shards"), {"shards": shards}, only_new=True)

    def shards(self, run: str) -> int | None:
        item = self._get((f"{run}/run", "shards"))
        return item["shards"] if item else None

    def undecided(self, run: str, indexes: list[str]) -> set[str]:
        # a listing's page is a short stretch of each bucket: one request tells of a thousand
        by_bucket: defaultdict[int, list[str]] = defaultdict(list)
        for index in indexes:
            by_bucket[_bucket(index)].append(index)
        undecided = set(indexes)
        for bucket, part in by_bucket.items():
            decided = self._query(f"{run}/decided/{bucket}", min(part), max(part), only_keys=True)
            undecided.difference_update(item["sk"] for item in decided)
        return undecided

    def decide(self, decision: LabelDecision) -> Future[None]:
        run, shard, index = decision.run, decision.shard, decision.index
        puts: dict[Key, Values] = {(f"{run}/decided/{_bucket(index)}", index): {}}
        if decision.label:
            puts[_unsent(decision)] = {
                "etag": decision.etag,
                "label": dump_label(decision.label),
                "failure": decision.failure,
            }
        if decision.failure is not None:
            puts[f"{run}/failed/{shard}", index] = {
                "etag": decision.etag,
                "label": dump_label(decision.label),
                "failure": decision.failure,
            }
        counts = {
            "decided": 1,
            "labelled": int(decision.label is not None),
            "failed": int(decision.failure is not None),
        }
        linger = LABELLED_LINGER_SECONDS if decision.label else LINGER_SECONDS
        tally = f"{run}/label/{shard}"
        return self._write(_Write(puts, tally=tally, counts=counts, linger=linger))

    def sent(self, decisions: list[LabelDecision]) -> Future[None]:
        # one that is gathered together with its decision costs no write at all
        writes = [self._write(_Write(deletes={_unsent(decision)})) for decision in decisions] or [
            self._write(_Write(linger=0))
        ]
        return _all_of(writes)

    def unsent(self, run: str, shard: int) -> Iterator[LabelDecision]:
        return self._decisions(run, shard, "unsent")

    def failures(self, run: str, shard: int) -> Iterator[LabelDecision]:
        return self._decisions(run, shard, "failed")

    def label_counts(self, run: str, shard: int) -> LabelCounts:
        counts: Counter[str] = Counter()
        for item in self._query(f"{run}/label/{shard}"):
            if item["sk"].startswith("tally/"):
                counts.update(_tally(item))
        return LabelCounts(counts["decided"], counts["labelled"], counts["failed"])

    def end_shard(self, end: ShardEnd) -> Future[None]:
        return self._put((f"{end.run}/label/{end.shard}", "end"), _end_values(end))

    def shard_ended(self, run: str, shard: int) -> ShardEnd | None:
        item = self._get((f"{run}/label/{shard}", "end"))
        return ShardEnd(run, shard, item["shards"], item["expected"]) if item else None

    def _decisions(self, run: str, shard: int, kind: str) -> Iterator[LabelDecision]:
        for item in self._query(f"{run}/{kind}/{shard}"):
            label = load_label(item.get("label"))
            yield LabelDecision(run, shard, item["sk"], item["etag"], label, item.get("failure"))

    # --- the text workers' side ----------------------------------------------------------------

    def not_done(self, run: str, indexes: list[str]) -> set[str]:
        by_key = {_result_key(run, index): index for index in indexes}
        keys = list(by_key)
        for first in range(0, len(keys), MOST_KEYS):
            for key in self._existing(keys[first : first + MOST_KEYS]):
                del by_key[key]
        return set(by_key.values())

    def complete(self, result: TextResult) -> Future[None]:
        row, line = result_row(result)
        values: Values = {"index": result.index, "row": _smaller(row), "line": line}
        counts = {
            "done": 1,
            "with_text": int(bool(result.lines)),
            "failed": int(result.failure is not None),
        }
        puts = {_result_key(result.run, result.index): values}
        return self._write(_Write(puts, tally=f"{result.run}/text", counts=counts))

    def record_end(self, end: ShardEnd) -> Future[None]:
        future = self._put((f"{end.run}/text", f"end/{end.shard}"), _end_values(end))
        self._forget(end.run)
        return future

    def record_foreign_end(self, run: str) -> Future[None]:
        future = self._put((f"{run}/text", "foreign-end"), {})
        self._forget(run)
        return future

    def progress(self, run: str) -> RunProgress:
        with self._lock:
            seen = self._seen.get(run)
        if seen is None or time.monotonic() >= seen.stale_at:
            seen = self._look(run)
        return self._with_own(run, seen)

    def results(self, run: str) -> Iterator[ResultRow]:
        counted = self._with_own(run, self._look(run)).done
        streams = [self._query(f"{run}/result/{bucket}") for bucket in range(BUCKETS)]
        merged = heapq.merge(*streams, key=_order_of)
        found = 0
        for _, alike in groupby(merged, key=_order_of):
            for item in sorted(alike, key=lambda item: (natural_key(item["index"]), item["index"])):
                found += 1
                yield _result(item)
        # a transaction becomes visible item by item: its count may be so before its images
        if found < counted:
            raise OutageError(
                f"the table {self._table!r} shows {found} results of {counted} that it counts; "
                "start again"
            )

    def _look(self, run: str) -> _Seen:
        asked = time.monotonic()
        seen = _Seen()
        for item in self._query(f"{run}/text"):
            kind, _, name = item["sk"].partition("/")
            if item["sk"] == self._own_tally:
                seen.own = _tally(item)
            elif kind == "tally":
                seen.others.update(_tally(item))
            elif kind == "end":
                seen.ends[name] = (item["shards"], item["expected"])
            elif kind == "foreign-end":
                seen.foreign_end = True
        progress = self._with_own(run, seen)
        at_end = progress.all_ended and progress.expected - progress.done <= LAST_IMAGES
        fresh = min(self._fresh_seconds, FRESH_SECONDS_AT_END if at_end else FRESH_SECONDS)
        seen.stale_at = asked + fresh
        with self._lock:
            self._seen[run] = seen
        return seen

    def _with_own(self, run: str, seen: _Seen) -> RunProgress:
        # of its own tally a process knows more than an older look, unless an answer was lost
        with self._lock:
            done = seen.others + (seen.own | self._counted[f"{run}/text"])
        return RunProgress(
            done["done"],
            done["with_text"],
            done["failed"],
            expected=sum(expected for _, expected in seen.ends.values()),
            all_ended=bool(seen.ends)
            and len(seen.ends) >= max(shards for shards, _ in seen.ends.values()),
            foreign_end=seen.foreign_end,
        )

    def _forget(self, run: str) -> None:
        with self._lock:
            self._seen.pop(run, None)

    # --- writing -------------------------------------------------------------------------------

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _write(self, write: _Write) -> Future[None]:
        self._queue.put(write)
        return write.future

    def _commit_all(self) -> None:
        while group := self._gather():
            self._commit(group)

    def _gather(self) -> _Group | None:
        write = self._waiting or self._queue.get()
        self._waiting = None
        group = _Group()
        due = float("inf")
        while write is not None and group.add(write):
            # one that is in a hurry takes those before it along
            due = min(due, time.monotonic() + write.linger)
            try:
                write = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                return group
        if write is None:
            self._queue.put(None)
        self._waiting = write
        return group if group.writes else None

    def _commit(self, group: _Group) -> None:
        try:
            self._call("DynamoDB TransactWriteItems", lambda: self._transact(group))
        except BaseException as error:
            # whatever it is: a future that is never done would hang its worker
            for future in group.futures:
                future.set_exception(error)
            return
        with self._lock:
            for tally, counts in group.counts().items():
                self._counted[tally].update(counts)
        for future in group.futures:
            future.set_result(None)

    def _transact(self, group: _Group) -> None:
        while requests := list(self._requests(group)):
            try:
                self._client.transact_write_items(
                    TransactItems=[request for request, _ in requests]
                )
                return
            except ClientError as error:
                there = _already_there(error, [write for _, write in requests])
                if not there:
                    raise
                for write in there:
                    group.drop(write)

    def _requests(self, group: _Group) -> Iterator[tuple[Any, _Write | None]]:
        """The transaction's items; beside each the write that it decides about, if any."""
        puts = {key for write in group.writes for key in write.puts}
        deletes = {key for write in group.writes for key in write.deletes}
        for write in group.writes:
            first = next(iter(write.puts), None)
            for key, values in write.puts.items():
                if key == first:
                    new = {"ConditionExpression": "attribute_not_exists(pk)"}
                    yield {"Put": {**self._item(key, values), **new}}, write
                elif key not in deletes:
                    yield {"Put": self._item(key, values)}, None
        for key in deletes - puts:
            yield {"Delete": {"TableName": self._table, "Key": _attributes(_keys(key))}}, None
        for tally, counts in group.counts().items():
            yield {"Update": self._addition((tally, self._own_tally), counts)}, None

    def _addition(self, key: Key, counts: Counter[str]) -> Any:
        names = sorted(name for name, count in counts.items() if count)
        return {
            "TableName": self._table,
            "Key": _attributes(_keys(key)),
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in names),
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": {f":{n}": {"N": str(counts[n])} for n in names},
        }

    def _item(self, key: Key, values: Values) -> Any:
        return {"TableName": self._table, "Item": _attributes({**_keys(key), **values})}

    def _put(self, key: Key, values: Values, only_new: bool = False) -> Future[None]:
        """Writes one item at once; the item that is there stays with `only_new`."""
        future: Future[None] = Future()
        request = self._item(key, values)
        if only_new:
            request["ConditionExpression"] = "attribute_not_exists(pk)"

        def put() -> None:
            try:
                self._client.put_item(**request)
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise

        try:
            self._call("DynamoDB PutItem", put)
        except WorkerError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    # --- reading -------------------------------------------------------------------------------

    def _get(self, key: Key) -> dict[str, Any] | None:
        reply = self._call(
            "DynamoDB GetItem",
            lambda: self._client.get_item(
                TableName=self._table, Key=_attributes(_keys(key)), ConsistentRead=True
            ),
        )
        return _plain(reply["Item"]) if "Item" in reply else None

    def _existing(self, keys: list[Key]) -> set[Key]:
        """Those of up to 100 keys that have an item."""
        found: set[Key] = set()
        names = {"ProjectionExpression": "pk, sk", "ConsistentRead": True}
        left = [_attributes(_keys(key)) for key in keys]

        def attempt() -> None:
            nonlocal left
            request: Any = {self._table: {"Keys": left, **names}}
            reply = self._client.batch_get_item(RequestItems=request)
            for item in reply["Responses"].get(self._table, []):
                found.add((item["pk"]["S"], item["sk"]["S"]))
            unread: Any = reply.get("UnprocessedKeys", {})
            left = unread.get(self._table, {}).get("Keys", [])
            if left:
                raise PartlyFailedError(f"{len(left)} keys were not read")

        self._call("DynamoDB BatchGetItem", attempt)
        return found

    def _query(
        self, pk: str, first: str = "", last: str = "", only_keys: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Items of one `pk` in the order of `sk`, all of them or those from `first` to `last`."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        if first:
            request["KeyConditionExpression"] += " AND sk BETWEEN :first AND :last"
            request["ExpressionAttributeValues"] |= {":first": {"S": first}, ":last": {"S": last}}
        if only_keys:
            request["ProjectionExpression"] = "sk"
        while True:
            reply: Any = self._call("DynamoDB Query", lambda: self._client.query(**request))
            yield from map(_plain, reply["Items"])
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def _call(self, what: str, function: Callable[[], T]) -> T:
        try:
            return self._calls.call(what, function)
        except PassingError as error:
            raise OutageError(str(error)) from error
        except ClientError as error:
            raise self._unusable(what, error) from error

    def _unusable(self, what: str, error: ClientError) -> RunError:
        region = self._client.meta.region_name
        if code_of(error) == "ResourceNotFoundException":
            return RunError(
                f"there is no DynamoDB table {self._table!r} in {region}; check CARTEXT_LEDGER"
            )
        return RunError(
            f"{what} on the table {self._table!r} in {region}: {error_message(error)}; its keys "
            "must be pk and sk, both strings"
        )


def _already_there(error: ClientError, writes: list[_Write | None]) -> list[_Write]:
    """The writes for which a transaction was cancelled because their items are there.

    Raises PartlyFailedError when it was cancelled for a passing reason.
    """
    if code_of(error) != "TransactionCanceledException":
        return []
    reasons: Any = error.response.get("CancellationReasons", [])
    codes = [reason.get("Code", "None") for reason in reasons]
    there = [
        write
        for code, write in zip(codes, writes, strict=True)
        if code == "ConditionalCheckFailed" and write
    ]
    if not there and PASSING_REASONS.issuperset(codes):
        raise PartlyFailedError(", ".join(sorted(set(codes) - {"None"}))) from error
    return there


def _all_of(futures: list[Future[None]]) -> Future[None]:
    """Done when all of them are, in this order; the first error is its error."""
    whole: Future[None] = Future()

    def settle(_: Future[None]) -> None:
        errors = (future.exception() for future in futures)
        error = next((error for error in errors if error), None)
        if error:
            whole.set_exception(error)
        else:
            whole.set_result(None)

    # they are done one after the other
    futures[-1].add_done_callback(settle)
    return whole


def _bucket(index: str) -> int:
    return zlib.crc32(index.encode()) % BUCKETS


def _order(index: str) -> str:
    """The part of the natural key that fits into a sort key; the rest is sorted on reading."""
    return natural_key(index)[:ORDER_LENGTH]


def _result_key(run: str, index: str) -> Key:
    # the digest tells apart what has the same natural key, or the same beginning of it
    digest = hashlib.sha256(index.encode()).hexdigest()[:16]
    return f"{run}/result/{_bucket(index)}", f"{_order(index)}\0{digest}"


def _unsent(decision: LabelDecision) -> Key:
    return f"{decision.run}/unsent/{decision.shard}", decision.index


def _end_values(end: ShardEnd) -> Values:
    return {"shards": end.shards, "expected": end.expected}


def _order_of(item: dict[str, Any]) -> str:
    return str(item["sk"].rpartition("\0")[0])


def _result(item: dict[str, Any]) -> ResultRow:
    row = item["row"]
    if isinstance(row, bytes):
        row = zlib.decompress(row).decode()
    return ResultRow(row, item.get("line"))


def _smaller(text: str) -> str | bytes:
    data = text.encode()
    return zlib.compress(data) if len(data) > COMPRESS_BYTES else text


def _tally(item: dict[str, Any]) -> Counter[str]:
    return Counter({name: value for name, value in item.items() if name not in {"pk", "sk"}})


def _keys(key: Key) -> Values:
    return {"pk": key[0], "sk": key[1]}


def _attributes(values: Values) -> dict[str, Any]:
    """Values as DynamoDB takes them; None is left out."""
    kinds = {str: "S", int: "N", bytes: "B"}
    return {
        name: {kinds[type(value)]: str(value) if isinstance(value, int) else value}
        for name, value in values.items()
        if value is not None
    }


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB as plain values."""
    return {
        name: int(value) if kind == "N" else value
        for name, typed in item.items()
        for kind, value in typed.items()
    }
