"""DynamoDB's calls one after the other, and its transactions whole or not at all.

moto lets two requests into a table at once, and a transaction that fails there puts back a copy of
the whole table, and so takes away what others have written in between.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from moto.core.common_types import TYPE_RESPONSE
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.responses import DynamoHandler

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_ITEMS = 100

_lock = threading.RLock()
_call_action = DynamoHandler.call_action


def install() -> None:
    """Mends moto; doing it again changes nothing."""
    setattr(DynamoHandler, "call_action", _one_at_a_time)  # noqa: B010
    setattr(DynamoDBBackend, "transact_write_items", _transact)  # noqa: B010


def _one_at_a_time(handler: DynamoHandler) -> TYPE_RESPONSE:
    with _lock:
        answer: TYPE_RESPONSE = _call_action(handler)
        return answer


def _transact(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    operations = [next(iter(item.items())) for item in transact_items]
    if len(operations) > MOST_ITEMS:
        raise TooManyTransactionsException
    keys = [_key(backend, operation) for _, operation in operations]
    if len(
        {(o["TableName"], str(key)) for key, (_, o) in zip(keys, operations, strict=True)}
    ) < len(keys):
        raise MultipleTransactionsException
    found = [
        copy.deepcopy(backend.get_item(operation["TableName"], key))
        for key, (_, operation) in zip(keys, operations, strict=True)
    ]
    refusals = [_refusal(o, item) for item, (_, o) in zip(found, operations, strict=True)]
    if any(code for code, _, _ in refusals):
        raise TransactionCanceledException(refusals)
    done = 0
    try:
        for (kind, operation), key in zip(operations, keys, strict=True):
            done += 1
            _apply(backend, kind, operation, key)
    except Exception:
        for key, item, (_, operation) in list(zip(keys, found, operations, strict=True))[:done]:
            _put_back(backend, operation["TableName"], key, item)
        raise


def _key(backend: DynamoDBBackend, operation: dict[str, Any]) -> dict[str, Any]:
    if "Key" in operation:
        return dict(sorted(operation["Key"].items()))
    names = backend.get_table(operation["TableName"]).table_key_attrs
    return {name: operation["Item"][name] for name in sorted(names)}


def _refusal(operation: dict[str, Any], item: Item | None) -> tuple[Any, Any, Any]:
    condition = get_filter_expression(
        operation.get("ConditionExpression"),
        operation.get("ExpressionAttributeNames"),
        operation.get("ExpressionAttributeValues"),
    )
    if condition.expr(item):
        return None, None, None
    wanted = operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    old = item.to_json()["Attributes"] if wanted and item else None
    return "ConditionalCheckFailed", "The conditional request failed", old


def _apply(
    backend: DynamoDBBackend, kind: str, operation: dict[str, Any], key: dict[str, Any]
) -> None:
    table = operation["TableName"]
    if kind == "Put":
        backend.put_item(table, operation["Item"])
    elif kind == "Delete":
        backend.delete_item(table, key)
    elif kind == "Update":
        backend.update_item(
            table,
            key,
            update_expression=operation["UpdateExpression"],
            expression_attribute_names=operation.get("ExpressionAttributeNames", {}),
            expression_attribute_values=operation.get("ExpressionAttributeValues", {}),
        )


def _put_back(backend: DynamoDBBackend, table: str, key: dict[str, Any], item: Item | None) -> None:
    if item is None:
        backend.delete_item(table, key)
    else:
        backend.put_item(table, item.to_json()["Attributes"])


def create_ledger_table(client: DynamoDBClient, name: str) -> str:
    """Makes the table of a fleet's ledger, as Terraform does; returns its URL for the workers."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    return f"dynamodb://{name}"
