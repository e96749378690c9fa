"""What a transaction on a fleet's table can do, each on its condition."""

from __future__ import annotations

from typing import Any

from workers.ledger.dynamodb.items import Key, Values, attributes


class Actions:
    """Makes the actions on the table of this name that `Table.transact` does together."""

    def __init__(self, name: str) -> None:
        self.name = name

    def put(self, key: Key, values: Values, only_new: bool = False) -> Any:
        """The action that writes an item; with `only_new` on condition that there is none.

        Or that there is one with a higher `floor`.
        """
        item = attributes(key, values)
        put: dict[str, Any] = {"TableName": self.name, "Item": item}
        if only_new:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        if only_new and "floor" in values:
            put["ConditionExpression"] += " OR floor > :floor"
            put["ExpressionAttributeValues"] = {":floor": item["floor"]}
        return {"Put": put}

    def delete(self, key: Key, only_there: bool = False) -> Any:
        """The action that takes an item away; with `only_there` on condition that there is one."""
        delete = {"TableName": self.name, "Key": attributes(key)}
        if only_there:
            delete["ConditionExpression"] = "attribute_exists(pk)"
        return {"Delete": delete}

    def put_if(self, key: Key, values: Values, name: str) -> Any:
        """The action that writes an item that is there, if it holds the same under this name."""
        item = attributes(key, values)
        return {
            "Put": {
                "TableName": self.name,
                "Item": item,
                "ConditionExpression": "#name = :value",
                "ExpressionAttributeNames": {"#name": name},
                "ExpressionAttributeValues": {":value": item[name]},
            }
        }

    def swap(self, key: Key, name: str, old: str, new: str) -> Any:
        """The action that writes a text into an item that holds the old one under this name."""
        texts = {":old": {"S": old}, ":new": {"S": new}}
        condition = "#name = :old"
        return self._update(key, name, "SET #name = :new", texts, ConditionExpression=condition)

    def add_one(self, key: Key, name: str) -> Any:
        """The action that adds 1 to a number of an item, and makes that if it is not there."""
        return self._update(key, name, "ADD #name :name", {":name": {"N": "1"}})

    def _update(self, key: Key, name: str, expression: str, values: Any, **more: str) -> Any:
        update = {
            "TableName": self.name,
            "Key": attributes(key),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": values,
            **more,
        }
        return {"Update": update}
