"""ministack, in a virtual environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.emulator import Emulator

BINARY = Path(__file__).resolve().parents[2] / ".venv-ministack/bin/ministack"


class Ministack(Emulator):
    """S3, SQS and DynamoDB of an independent hand."""

    health, reset_ = "/_ministack/health", "/_ministack/reset"

    def __init__(self) -> None:
        if not BINARY.exists():
            pytest.skip("ministack is not in .venv-ministack, which `make test` fills")
        super().__init__()

    def command(self) -> tuple[list[str | Path], dict[str, str]]:
        """As its users start it, on loopback."""
        settings = {"BIND_HOST": self.host, "GATEWAY_PORT": str(self.port), "LOG_LEVEL": "ERROR"}
        return [BINARY], {**settings, "SERVICES": "s3,sqs,dynamodb"}
