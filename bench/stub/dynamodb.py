"""A table with string keys `pk` and `sk`, as far as the fleet's ledger uses DynamoDB."""

from __future__ import annotations

import json
import math
import re
import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from typing import Any

from bench.stub.http import TRACE, Request, Respond
from bench.stub.scenario import TABLE, Scenario, vary

Json = dict[str, Any]

# items of one Query; DynamoDB's own limit is 1 MB
PAGE = 2000
# what was written so short a time ago a read that is not consistent does not show
HIDDEN_SECONDS = 1.0


class Refusal(Exception):  # noqa: N818 - it is an answer
    """What is answered instead of a result."""

    def __init__(self, code: str, **more: Any) -> None:
        self.body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more}


class Partition:
    """The items of one `pk`, and their `sk` in order."""

    def __init__(self) -> None:
        self.items: dict[str, Json] = {}
        self.order: list[str] = []
        self._written: dict[str, float] = {}

    def put(self, item: Json) -> None:
        """Keeps an item in the place of one with the same `sk`."""
        name = item["sk"]["S"]
        if name not in self.items:
            insort(self.order, name)
        self.items[name] = item
        self._written[name] = time.monotonic()

    def shows(self, name: str) -> bool:
        """Whether a read that is not consistent shows an item."""
        return time.monotonic() - self._written[name] > HIDDEN_SECONDS

    def delete(self, name: str) -> None:
        """Removes an item, if it is there."""
        if self.items.pop(name, None):
            del self.order[bisect_left(self.order, name)]
            del self._written[name]


class DynamoDb:
    """GetItem, BatchGetItem, Query, PutItem, BatchExecuteStatement and TransactWriteItems."""

    def __init__(self, scenario: Scenario, counts: dict[str, int]) -> None:
        self._seconds = scenario.dynamodb_seconds
        self._counts = counts
        self._partitions: defaultdict[str, Partition] = defaultdict(Partition)
        self.units = {"read": 0.0, "write": 0.0}
        """Capacity that is paid for on demand."""

    def handle(self, request: Request, respond: Respond, operation: str) -> None:
        """Answers a DynamoDB call (AWS JSON 1.0)."""
        self._counts[f"DynamoDB {operation}"] += 1
        status = 200
        try:
            asked = json.loads(request.body)
            before = self.units["read"] + self.units["write"]
            reply = getattr(self, f"_{operation}")(asked)
            if "ReturnConsumedCapacity" in asked:
                units = self.units["read"] + self.units["write"] - before
                consumed = {"TableName": TABLE, "CapacityUnits": units}
                reply["ConsumedCapacity"] = [consumed] if "Transact" in operation else consumed
        except Refusal as refusal:
            status, reply = 400, refusal.body
        headers = "Content-Type: application/x-amz-json-1.0\r\n" + TRACE
        respond(json.dumps(reply).encode(), status, vary(self._seconds), headers)

    def _find(self, key: Json, consistent: bool = True) -> Json | None:
        item = self._there(key)
        if item and not consistent and not self._partitions[key["pk"]["S"]].shows(key["sk"]["S"]):
            item = None
        self._read([item] if item else [], consistent)
        return item

    def _there(self, key: Json) -> Json | None:
        return self._partitions[key["pk"]["S"]].items.get(key["sk"]["S"])

    def _read(self, items: list[Json], consistent: bool = True) -> None:
        units = max(1, math.ceil(sum(map(_size, items)) / 4096))
        self.units["read"] += units if consistent else units / 2

    def _GetItem(self, request: Json) -> Json:  # noqa: N802 - the operation's name
        item = self._find(request["Key"])
        return {"Item": item} if item else {}

    def _BatchGetItem(self, request: Json) -> Json:  # noqa: N802
        ((table, wanted),) = request["RequestItems"].items()
        found = [self._find(key, wanted["ConsistentRead"]) for key in wanted["Keys"]]
        return {"Responses": {table: [item for item in found if item]}, "UnprocessedKeys": {}}

    def _PutItem(self, request: Json) -> Json:  # noqa: N802
        self._put(request["Item"])
        self._written(request["Item"])
        return {}

    def _BatchExecuteStatement(self, request: Json) -> Json:  # noqa: N802
        return {"Responses": [*map(self._insert, request["Statements"])]}

    def _insert(self, statement: Json) -> Json:
        """Does `INSERT INTO "table" VALUE {'name': ?, …}`."""
        names = re.findall(r"'(\w+)': \?", statement["Statement"])
        item = dict(zip(names, statement["Parameters"], strict=True))
        # what is refused costs, too
        self._written(item)
        if item["sk"]["S"] in self._partitions[item["pk"]["S"]].items:
            return {"Error": {"Code": "DuplicateItem", "Message": "there is one"}}
        self._put(item)
        return {"TableName": TABLE}

    def _written(self, *items: Json, times: int = 1) -> None:
        """Units of a kilobyte, as they are paid for."""
        self.units["write"] += times * sum(max(1, math.ceil(_size(item) / 1024)) for item in items)

    def _put(self, item: Json) -> None:
        self._partitions[item["pk"]["S"]].put(item)

    def _Query(self, request: Json) -> Json:  # noqa: N802
        values = request["ExpressionAttributeValues"]
        partition = self._partitions[values[":pk"]["S"]]
        first, past = 0, len(partition.order)
        if ":first" in values:
            first = bisect_left(partition.order, values[":first"]["S"])
            past = bisect_right(partition.order, values[":last"]["S"])
        if "ExclusiveStartKey" in request:
            first = bisect_right(partition.order, request["ExclusiveStartKey"]["sk"]["S"])
        most = min(PAGE, request.get("Limit", PAGE))
        found = [partition.items[name] for name in partition.order[first:past][:most]]
        self._read(found)
        reply: Json = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if past - first > most:
            reply["LastEvaluatedKey"] = {name: found[-1][name] for name in ("pk", "sk")}
        return reply

    def _TransactWriteItems(self, request: Json) -> Json:  # noqa: N802
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        # a transaction costs twice, also one that is refused
        self._written(*(what.get("Item", {}) for _, what in actions), times=2)
        allowed = [self._allows(what) for _, what in actions]
        if not all(allowed):
            reasons = [{"Code": "None" if yes else "ConditionalCheckFailed"} for yes in allowed]
            raise Refusal("TransactionCanceledException", CancellationReasons=reasons)
        for kind, what in actions:
            if kind == "Put":
                self._put(what["Item"])
            elif kind == "Delete":
                self._partitions[what["Key"]["pk"]["S"]].delete(what["Key"]["sk"]["S"])
            elif what["UpdateExpression"].startswith("SET"):
                self._set(what)
            else:
                self._add(what)
        return {}

    def _allows(self, what: Json) -> bool:
        """Whether an action's condition holds: an item, none, or one that has a value."""
        condition = what.get("ConditionExpression")
        if not condition:
            return True
        # what a condition looks at costs no read
        item = self._there(what.get("Item") or what["Key"])
        if condition.startswith("#name = "):
            value = what["ExpressionAttributeValues"][condition.removeprefix("#name = ")]
            return item is not None and item.get(what["ExpressionAttributeNames"]["#name"]) == value
        return bool(item) is bool(condition.startswith("attribute_exists"))

    def _set(self, update: Json) -> None:
        """Does `SET #name = :new` to an item that is there."""
        name = update["ExpressionAttributeNames"]["#name"]
        item = self._partitions[update["Key"]["pk"]["S"]].items[update["Key"]["sk"]["S"]]
        self._put({**item, name: update["ExpressionAttributeValues"][":new"]})

    def _add(self, update: Json) -> None:
        """Does `ADD #a :a, #b :b`."""
        key = update["Key"]
        items = self._partitions[key["pk"]["S"]].items
        item = dict(items.get(key["sk"]["S"]) or key)
        for placeholder, name in update["ExpressionAttributeNames"].items():
            more = int(update["ExpressionAttributeValues"][":" + placeholder[1:]]["N"])
            item[name] = {"N": str(int(item.get(name, {"N": "0"})["N"]) + more)}
        self._put(item)


def _size(item: Json) -> int:
    """Bytes as DynamoDB counts them: names and values.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    typed = ((name, *next(iter(value.items()))) for name, value in item.items())
    # bytes come as base64
    return sum(
        len(name) + (len(value) * 3 // 4 if kind == "B" else len(value))
        for name, kind, value in typed
    )
