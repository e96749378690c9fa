"""The AWS that the bench measures against: fast, in a process of its own, with the true limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.httpsession import DEFAULT_CA_BUNDLE
from urllib3 import PoolManager

from bench.stub.scenario import BUCKET, PARTS, QUEUE, TABLE, Scenario

__all__ = ["BUCKET", "PARTS", "ROOT", "TABLE", "Scenario", "Stub"]

ROOT = Path(__file__).parents[2]
RECORD = "/-/record"


class Stub:
    """Serves one scenario on a loopback port until it is left."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.stub", json.dumps(asdict(self.scenario))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout  # noqa: S101 - for the type checker
        said = json.loads(self._process.stdout.readline())
        self.endpoint: str = said["endpoint"]
        self._bundle = tempfile.NamedTemporaryFile(suffix=".pem")
        # beside the SDK's own authorities: it reads all of them for every connection
        self._bundle.write(Path(DEFAULT_CA_BUNDLE).read_bytes() + said["authority"].encode())
        self._bundle.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # it leaves when its input ends, so that it never outlives us
        self._process.communicate()
        self._bundle.close()

    def url_of(self, queue: str) -> str:
        """URL of a queue."""
        return f"{self.endpoint}/123456789012/{queue}"

    def environment(self, **settings: object) -> dict[str, str]:
        """The environment of a process that shall find its AWS here; `settings` are CARTEXT_…"""
        ours = {
            name: value
            for name, value in os.environ.items()
            # an install has its modules compiled, whatever Python is told here
            if not name.startswith(("AWS_", "CARTEXT_", "PYTHON"))
        }
        values = {"bucket": BUCKET, "queue_url": self.url_of(QUEUE), **settings}
        return {
            **ours,
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": self._bundle.name,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true",
            **{f"CARTEXT_{name.upper()}": str(value) for name, value in values.items()},
        }

    def record(self) -> dict[str, Any]:
        """What was called so far; `Server.record` says what is in it."""
        with PoolManager(ca_certs=self._bundle.name) as http:
            record: dict[str, Any] = http.request("GET", self.endpoint + RECORD).json()
            return record
