"""What so many images cost, by service, at the calls that were measured."""

from __future__ import annotations

from typing import Any

from workers.price import dollars

MILLION = 1_000_000
HOUR = 3600.0
# list prices of us-east-1 in dollars, without the free tiers
SQS_CALL = 0.40e-6
S3_GET, S3_LIST = 0.40e-6, 5e-6
DYNAMODB_READ, DYNAMODB_WRITE = 0.125e-6, 0.625e-6
# t3.small, its public address, and 20 GiB of gp3
INSTANCE_HOUR = 0.0208 + 0.005 + 20 * 0.08 / 730


def table_for_a_million(units: dict[str, float], images: int) -> dict[str, float]:
    """What a fleet's table costs for a million images, by the units of so many; as in a row."""
    return {"DynamoDB dollars for 1,000,000": _table_dollars(units) / images * MILLION}


def _table_dollars(units: dict[str, float]) -> float:
    """On demand, by the units that it was read and written."""
    return units["read"] * DYNAMODB_READ + units["write"] * DYNAMODB_WRITE


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
        "Rekognition": dollars(round(paid * share)),
        "EC2": seconds / HOUR * instances * INSTANCE_HOUR,
        "SQS": sqs * share * SQS_CALL,
        "S3": (gets * S3_GET + calls["S3 ListObjectsV2"] * S3_LIST) * share,
        "DynamoDB": _table_dollars(measured["units"]) * share,
    }
