"""AWS by another hand than the sandbox's, as a process of its own environment."""

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

PATIENCE_SECONDS = 30


class Emulator(Sandbox):
    """An account as the sandbox has it, but for its faults and its Rekognition."""

    health = reset_ = ""

    def __init__(self) -> None:
        # nothing of moto's begins
        self._bundle = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.host, self.port = free.getsockname()
        self.endpoint = f"http://{self.host}:{self.port}"

    def command(self) -> tuple[list[str | Path], dict[str, str]]:
        """The command that serves at the port, and what it needs in its environment."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        command, settings = self.command()
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._ask(self.health)
                return self
            except OSError:
                assert self._process.poll() is None, f"{command[0]} has ended"
                assert time.monotonic() < until, f"{command[0]} does not answer"
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def reset(self) -> Self:
        """Empties the account."""
        self._ask(self.reset_, b"")
        return self

    def _ask(self, path: str, body: bytes | None = None) -> None:
        urllib.request.urlopen(self.endpoint + path, body).close()  # noqa: S310

    @property
    def faults(self) -> NoReturn:
        """What only the sandbox has."""
        pytest.skip("faults on demand are the sandbox's own")
