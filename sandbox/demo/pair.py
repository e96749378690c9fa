"""Both workers as processes beside each other, and what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector

from sandbox import processes
from sandbox.demo.board import NAMES, plain
from sandbox.demo.folder import DemoFolder, room, shown, writing
from sandbox.errors import WorkerFailedError
from sandbox.signals import SIGNALS
from workers.events import Stopped, read

DRAIN_SECONDS = 3.0


@contextmanager
def working_pair(
    folder: DemoFolder, environment: Mapping[str, str], in_flight: Mapping[str, int]
) -> Iterator[Iterator[tuple[str, str]]]:
    """Both workers, ended when the context is left; gives role and line of all that they say.

    That raises WorkerFailedError as soon as one ends with another status than 0, SandboxError when
    the disk takes no more of their logs.
    """
    workers: list[_Worker] = []
    try:
        with _signals_wait():
            for role in ("text", "label"):
                worker = _Worker(role, folder, environment, in_flight[role])
                workers.append(worker)
        yield _lines(workers)
    finally:
        with _signals_wait():
            _end(workers)


class _Worker:
    """A worker's process, and the last line that it said."""

    def __init__(
        self, role: str, folder: DemoFolder, environment: Mapping[str, str], in_flight: int
    ) -> None:
        self.role = role
        self._log = folder.log(role)
        self._unfinished = b""
        self._last_line = ""
        flags = {"--state-dir": folder.state(role), "--worker": role, "--in-flight": in_flight}
        self.process = processes.start(
            role,
            environment,
            *(str(part) for flag in flags.items() for part in flag),
            # where no cartext.env of a person lies, and Ctrl-C does not come by itself
            cwd=folder.path,
            process_group=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def hear(self, said: bytes) -> list[str]:
        """Keeps it in the log; returns the lines that are whole with it."""
        with writing(self._log), self._log.open("ab") as log:
            log.write(said)
        *lines, self._unfinished = (self._unfinished + said).split(b"\n")
        texts = [line.decode(errors="replace") for line in lines]
        self._last_line = next(filter(None, reversed(texts)), self._last_line)
        return texts

    def obituary(self, status: int) -> str:
        """How it ended, and why, as far as it said so."""
        how = f"status {status}" if status > 0 else signal.Signals(-status).name
        event = read(self._last_line)
        reason = event.reason if isinstance(event, Stopped) else self._last_line
        name = f"{NAMES[self.role]}, the {self.role} worker,"
        said = f"{plain(reason) or 'it said nothing'}{room(self._log)}"
        return f"{name} ended with {how}: {said} (all that it said: {shown(self._log)})"


def _lines(workers: Sequence[_Worker]) -> Iterator[tuple[str, str]]:
    # no thread for each: one that ends unseen, as by a full disk, would be waited for for ever
    with DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.process.stderr, EVENT_READ, worker)  # type: ignore[arg-type]
        while selector.get_map():
            for key, _ in selector.select():
                worker = key.data
                if said := os.read(key.fd, 65536):
                    yield from ((worker.role, line) for line in worker.hear(said))
                    continue
                selector.unregister(key.fileobj)
                if status := worker.process.wait():
                    raise WorkerFailedError(worker.obituary(status))


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    ends = time.monotonic() + DRAIN_SECONDS
    for worker in workers:
        try:
            worker.process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Keeps a signal back until what must be done as a whole is done."""
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came:
        signal.raise_signal(came[0])
