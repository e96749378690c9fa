"""DynamoDB: calls one after the other, of which none goes through the whole table."""

from __future__ import annotations

import copy
import re
import threading
from collections import defaultdict
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from sandbox.aws.moto.patch import Before, replaces

_lock = threading.RLock()

# as the ledger writes it: every value is a parameter
INSERT = re.compile(r'INSERT INTO "(?P<table>[^"]+)" VALUE \{(?P<item>[^{}]*)\}')
NAMES = re.compile(r"'(\w+)': \?")


@replaces(DynamoHandler, "call_action")
def _one_at_a_time(handler: DynamoHandler, call_action: Before) -> Any:
    # Two requests are let into a table at once, and a transaction that fails there puts back a copy
    # of the whole table, and so takes away what others have written in between.
    with _lock:
        return call_action(handler)


def _copy_no_items(table: Table, _: dict[int, Any]) -> Table:
    # That copy is made item by item before every transaction, which takes seconds of a large table.
    twin = copy.copy(table)
    twin.items = copy.copy(table.items)
    for key, items in table.items.items():
        twin.items[key] = copy.copy(items)
    return twin


setattr(Table, "__deepcopy__", _copy_no_items)  # noqa: B010 - moto's class has none


@replaces(DynamoDBBackend, "update_item")
def _update_another_item(
    backend: DynamoDBBackend,
    update_item: Before,
    table_name: str,
    key: dict[str, Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    # An update changes the item itself, and so what such a copy of the table holds.
    if item := backend.get_item(table_name, key):
        backend.put_item(table_name, item.to_json()["Attributes"])
    return update_item(backend, table_name, key, *args, **kwargs)


@replaces(Table, "query")
def _query_one_partition(
    table: Table, query: Before, hash_key: DynamoType, *args: Any, **kwargs: Any
) -> Any:
    # All items are sorted, and then those of the partition taken: of a large table that takes so
    # long that the workers of a fleet take each other for dead.
    if table.all_indexes():
        return query(table, hash_key, *args, **kwargs)
    partition = copy.copy(table)
    partition.items = defaultdict(dict, {hash_key: table.items.get(hash_key, {})})
    return query(partition, hash_key, *args, **kwargs)


@replaces(DynamoDBBackend, "batch_execute_statement")
def _insert_only_what_is_new(
    backend: DynamoDBBackend, execute: Before, statements: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    # INSERT overwrites what is there, and goes through all items of all tables before.
    said: list[dict[str, Any]] = []
    for each in statements:
        insert = INSERT.fullmatch(each["Statement"])
        said += execute(backend, [each]) if insert is None else [_insert(backend, insert, each)]
    return said


def _insert(backend: DynamoDBBackend, insert: re.Match[str], said: dict[str, Any]) -> Any:
    table = backend.tables.get(insert["table"])
    if table is None:
        return {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}}
    item = dict(zip(NAMES.findall(insert["item"]), said["Parameters"], strict=True))
    if backend.get_item(table.name, {name: item[name] for name in table.table_key_attrs}):
        error = "Duplicate primary key exists in table"
        return {"Error": {"Code": "DuplicateItem", "Message": error}}
    backend.put_item(table.name, item)
    return {"TableName": table.name}
