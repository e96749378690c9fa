"""ministack, AWS by another hand than moto's, as a process of its own environment."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import NoReturn, Self

import pytest

from sandbox.aws.server import Sandbox

BINARY = Path(__file__).resolve().parents[2] / ".venv-ministack/bin/ministack"
PATIENCE_SECONDS = 30


class Ministack(Sandbox):
    """An account as the sandbox has it, but for its faults and its Rekognition."""

    def __init__(self) -> None:
        # nothing of moto's begins
        if not BINARY.exists():
            pytest.skip("ministack is not in .venv-ministack, which `make test` fills")
        self._bundle = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.host, self.port = free.getsockname()
        self.endpoint = f"http://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        settings = {"BIND_HOST": self.host, "GATEWAY_PORT": str(self.port), "LOG_LEVEL": "ERROR"}
        self._process = subprocess.Popen(
            [BINARY],
            env={**os.environ, **settings, "SERVICES": "s3,sqs,dynamodb"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._ask("health")
                return self
            except OSError:
                assert self._process.poll() is None, "ministack has ended"
                assert time.monotonic() < until, "ministack does not answer"
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def reset(self) -> Self:
        """Empties the account."""
        self._ask("reset")
        return self

    def _ask(self, what: str) -> None:
        url = f"{self.endpoint}/_ministack/{what}"
        urllib.request.urlopen(url, b"" if what == "reset" else None).close()  # noqa: S310

    @property
    def faults(self) -> NoReturn:
        """What only the sandbox has."""
        pytest.skip("faults on demand are the sandbox's own")
