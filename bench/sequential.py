"""The same work as most people write it: one image, one call, one message at a time.

`python -m bench.sequential label` and `… text`, two processes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import boto3

BUCKET, QUEUE_URL = os.environ["CARTEXT_BUCKET"], os.environ["CARTEXT_QUEUE_URL"]


def client(service: str) -> Any:
    """The SDK as it comes."""
    return boto3.client(service)  # type: ignore[call-overload]


def find_cars() -> None:
    """Instance A."""
    s3, sqs, rekognition = client("s3"), client("sqs"), client("rekognition")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            key = item["Key"]
            reply = rekognition.detect_labels(
                Image={"S3Object": {"Bucket": BUCKET, "Name": key}}, MinConfidence=90
            )
            if any(label["Name"] == "Car" for label in reply["Labels"]):
                sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=key)
    sqs.send_message(QueueUrl=QUEUE_URL, MessageBody="-1")


def read_text() -> None:
    """Instance B."""
    s3, sqs, rekognition = client("s3"), client("sqs"), client("rekognition")
    lines: list[str] = []
    while True:
        reply = sqs.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=1, WaitTimeSeconds=20)
        for message in reply.get("Messages", []):
            key = message["Body"]
            if key == "-1":
                Path("output.txt").write_text("\n".join(lines))
                return
            data = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            found = rekognition.detect_text(Image={"Bytes": data})["TextDetections"]
            texts = [text["DetectedText"] for text in found if text["Type"] == "LINE"]
            if texts:
                lines.append(f"{key}: {' '.join(texts)}")
            sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    {"label": find_cars, "text": read_text}[sys.argv[1]]()
