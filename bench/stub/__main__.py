"""The stub's process: `python -m bench.stub SCENARIO-AS-JSON`; leaves when its input ends."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

from bench.stub import RECORD
from bench.stub.dynamodb import DynamoDb
from bench.stub.http import Connection, Request, Respond
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
        self._targets = {
            "amazonsqs": Sqs(scenario, self._counts).handle,
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
                *("GetItem", "PutItem", "BatchGetItem", "Query", "TransactWriteItems"),
            )
        }

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request."""
        if target := request.header("x-amz-target"):
            service, _, operation = target.partition(".")
            self._targets[service](request, respond, self._names[operation])
        elif request.path == RECORD:
            respond(json.dumps(self._record()).encode())
        else:
            self._s3.handle(request, respond)

    def _record(self) -> dict[str, Any]:
        """Calls by service and operation, and when (seconds since 1970); the own CPU seconds."""
        return {
            "calls": self._counts,
            "cpu": time.process_time(),
            "units": self._dynamodb.units,
            "downloads": self._s3.downloads,
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


async def main() -> None:
    """Serves until the input ends."""
    server = Server(Scenario(**json.loads(sys.argv[1])))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Connection(server.handle), "127.0.0.1", 0, backlog=2048
    )
    print(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    listener.close()


asyncio.run(main())
