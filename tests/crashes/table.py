"""A fleet's table in memory; what is written to it is told."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from bench.stub.dynamodb import DynamoDb
from bench.stub.scenario import Scenario
from tests.crashes.record import Record
from tests.unit.fakes import META

Json = dict[str, Any]

WRITES = {"PutItem", "BatchExecuteStatement", "TransactWriteItems"}


class Table:
    """DynamoDB's client, as far as the ledger uses it; `written` was written before."""

    meta = META

    def __init__(self, record: Record, written: list[tuple[str, str]]) -> None:
        self._table = DynamoDb(Scenario(0, dynamodb_seconds=0), Counter())
        self._record = record
        self._lock = threading.Lock()
        for operation, asked in written:
            self._answer(operation, asked)

    def get_item(self, **asked: Any) -> Json:
        return self._ask("GetItem", asked)

    def batch_get_item(self, **asked: Any) -> Json:
        return self._ask("BatchGetItem", asked)

    def query(self, **asked: Any) -> Json:
        return self._ask("Query", asked)

    def put_item(self, **asked: Any) -> Json:
        return self._ask("PutItem", asked)

    def batch_execute_statement(self, **asked: Any) -> Json:
        return self._ask("BatchExecuteStatement", asked)

    def transact_write_items(self, **asked: Any) -> Json:
        return self._ask("TransactWriteItems", asked)

    def _ask(self, operation: str, asked: Json) -> Json:
        text = json.dumps(asked, default=lambda packed: base64.b64encode(packed).decode())
        with self._lock:
            reply = self._answer(operation, text)
            if operation in WRITES:
                self._record.note("keep", operation, text)
            return reply

    def _answer(self, operation: str, asked: str) -> Json:
        said: list[tuple[bytes, int]] = []
        self._table.handle(
            SimpleNamespace(body=asked),
            lambda body, status, *_: said.append((body, status)),
            operation,
        )
        ((body, status),) = said
        reply: Json = json.loads(body, object_hook=_unpacked)
        if status != 200:
            error = {"Code": reply["__type"].partition("#")[2], "Message": "so it is"}
            meta = {"HTTPStatusCode": status}
            raise ClientError({**reply, "Error": error, "ResponseMetadata": meta}, operation)
        return reply


def _unpacked(value: Json) -> Json:
    return {"B": base64.b64decode(value["B"])} if value.keys() == {"B"} else value
