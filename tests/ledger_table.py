"""The table of a fleet's ledger, as Terraform makes it."""

from __future__ import annotations

from sandbox.aws.server import Sandbox


def ledger_table(sandbox: Sandbox) -> str:
    """Makes it in this account; returns its URL for the workers."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    sandbox.client("dynamodb").create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
    )
    return "dynamodb://ledger"
