"""The stub's services behind one port."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import Any

from bench.stub import RECORD
from bench.stub.dynamodb import DynamoDb
from bench.stub.http import Request, Respond
from bench.stub.rekognition import Rekognition
from bench.stub.s3 import S3
from bench.stub.scenario import Scenario
from bench.stub.sqs import Sqs


class Server:
    """Gives each request to its service."""

    def __init__(self, scenario: Scenario) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._s3 = S3(scenario, self._counts)
        self._rekognition = Rekognition(scenario, self._counts)
        self._dynamodb = DynamoDb(scenario, self._counts)
        self._sqs = Sqs(scenario, self._counts)
        self._targets = {
            "amazonsqs": self._sqs.handle,
            "rekognitionservice": self._rekognition.handle,
            "dynamodb_20120810": self._dynamodb.handle,
        }
        self._names = {
            name.lower(): name
            for name in (
                *("SendMessage", "SendMessageBatch", "ReceiveMessage", "GetQueueAttributes"),
                *("DeleteMessage", "DeleteMessageBatch"),
                *("ChangeMessageVisibility", "ChangeMessageVisibilityBatch"),
                *("DetectLabels", "DetectText"),
                *("GetItem", "BatchGetItem", "Query"),
                *("PutItem", "BatchExecuteStatement", "TransactWriteItems"),
            )
        }

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request."""
        if target := request.header("x-amz-target"):
            service, _, operation = target.partition(".")
            self._targets[service](request, respond, self._names[operation])
        elif request.path == RECORD:
            respond(json.dumps(self.record()).encode())
        else:
            self._s3.handle(request, respond)

    def record(self) -> dict[str, Any]:
        """Calls by service and operation, and when (seconds since 1970); the own CPU seconds."""
        return {
            "calls": self._counts,
            "cpu": time.process_time(),
            "units": self._dynamodb.units,
            "downloads": self._s3.downloads,
            "deleted": self._sqs.deleted,
            **{
                name: {
                    "taken": operation.taken,
                    "throttled": operation.throttled,
                    "images": len(operation.paid),
                    "paid": operation.paid.total(),
                    "answered": operation.answered,
                }
                for name, operation in self._rekognition.operations.items()
            },
        }
