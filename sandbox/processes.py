"""Worker processes, started as an instance starts them: by the environment, with a log of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import IS_CHECKOUT, ROOT


def settings(**values: object) -> dict[str, str]:
    """The environment variables of a worker's settings."""
    return {f"CARTEXT_{name.upper()}": str(value) for name, value in values.items()}


def start(
    role: str, environment: Mapping[str, str], *flags: str, module: str = "console", **how: Any
) -> subprocess.Popen[bytes]:
    """Starts a worker, in this environment alone; it logs JSON to standard error.

    `how` is for Popen: where the log goes, the working directory.
    """
    own = str(ROOT) if IS_CHECKOUT else None
    path = os.pathsep.join(filter(None, (own, environment.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", module, role, *flags],
        env={**environment, "PYTHONPATH": path, "CARTEXT_LOG_FORMAT": "json"},
        stdin=subprocess.DEVNULL,
        **how,
    )


class Worker:
    """A worker's process, and the file that it logs to."""

    def __init__(
        self, role: str, environment: Mapping[str, str], log: Path, *flags: str, **how: Any
    ) -> None:
        self.role = role
        self.log = log
        with log.open("wb") as file:
            self.process = start(role, environment, *flags, stderr=file, **how)

    @property
    def lines(self) -> list[str]:
        """The whole lines of its log so far."""
        return self.log.read_text(encoding="utf-8").split("\n")[:-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log lines, every one of which must be JSON."""
        return [json.loads(line) for line in self.lines]

    def last(self, event: str) -> dict[str, Any]:
        """Its last line of this event. Raises StopIteration when there is none."""
        # a long log is not read through for one line
        likely = (line for line in reversed(self.lines) if f'"{event}"' in line)
        return next(line for line in map(json.loads, likely) if line["event"] == event)
