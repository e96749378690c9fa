"""What so many images cost, by service, at the calls that were measured."""

from __future__ import annotations

from typing import Any

from workers import price
from workers.price import HOUR

MILLION = 1_000_000


def table_for_a_million(units: dict[str, float], images: int) -> dict[str, float]:
    """What a fleet's table costs for a million images, by the units of so many; as in a row."""
    return {"DynamoDB dollars for 1,000,000": _table_dollars(units) / images * MILLION}


def _table_dollars(units: dict[str, float]) -> float:
    """On demand, by the units that it was read and written."""
    return units["read"] * price.DYNAMODB_READ + units["write"] * price.DYNAMODB_WRITE


def dollars_by_service(
    measured: dict[str, Any], images: int, seconds: float, instances: int
) -> dict[str, float]:
    """What so many images cost when each takes the calls that were `measured` for one."""
    calls, share = measured["calls"], images / measured["images"]
    sqs = sum(count for name, count in calls.items() if name.startswith("SQS"))
    # Rekognition fetches what it gets by reference, at our cost
    gets = calls["S3 GetObject"] + calls["Rekognition DetectLabels"]
    paid = calls["Rekognition DetectLabels"] + calls["Rekognition DetectText"]
    return {
        "Rekognition": price.dollars(round(paid * share)),
        "EC2": seconds / HOUR * instances * price.INSTANCE_HOUR,
        "SQS": sqs * share * price.SQS_CALL,
        "S3": (gets * price.S3_GET + calls["S3 ListObjectsV2"] * price.S3_LIST) * share,
        "DynamoDB": _table_dollars(measured["units"]) * share,
    }
