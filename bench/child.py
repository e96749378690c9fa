"""A worker's process, and what it took: seconds, CPU time, memory."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from select import select
from typing import Any

from sandbox import processes

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Usage:
    """A process that has ended: `cpu` in seconds, `memory` in MB at its highest."""

    seconds: float
    cpu: float
    memory: float
    status: int


def _memory_of(process: int) -> float | None:
    """The most MB that it has had so far; None when it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line), None)


class Child(processes.Worker):
    """A worker, measured by the kernel from its start to its end."""

    def __init__(
        self, role: str, environment: dict[str, str], folder: Path, *flags: str, **how: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._began = time.monotonic()
        super().__init__(role, environment, folder / "log", *flags, cwd=folder, **how)
        if hasattr(os, "SCHED_BATCH"):  # as the systemd unit has it
            os.sched_setscheduler(self.process.pid, os.SCHED_BATCH, os.sched_param(0))
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        # the kernel's own maximum of a process includes that of the one which started it
        memory, process = 0.0, os.pidfd_open(self.process.pid)
        while not select([process], [], [], LOOK_SECONDS)[0]:
            memory = _memory_of(self.process.pid) or memory
        os.close(process)
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._usage = Usage(
            time.monotonic() - self._began,
            used.ru_utime + used.ru_stime,
            memory,
            self.process.returncode,
        )

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return not self._thread.is_alive()

    def status(self) -> int:
        """Waits for its end, whatever that is."""
        self._thread.join()
        return self._usage.status

    def wait(self) -> Usage:
        """Waits for its end; RuntimeError when that is not a good one."""
        self._thread.join()
        if self._usage.status:
            raise RuntimeError(f"a worker ended with {self._usage.status}: {self._last_words()}")
        return self._usage

    def kill(self) -> None:
        """Ends it, if it has not ended."""
        if self._thread.is_alive():
            self.process.kill()
        self._thread.join()

    def _last_words(self) -> str:
        return self.log.read_text()[-2000:]

    def time_of(self, event: str) -> float:
        """When it logged this, in seconds since 1970."""
        return datetime.fromisoformat(self.last(event)["time"]).timestamp()
