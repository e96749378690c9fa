"""What the threads of a run get in place of locks, threads and the clock.

Python's own Condition, Event, Queue, Future and ThreadPoolExecutor are made of these three, so they
and the code that uses them stay what they are. All other threads of the process notice nothing.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import thread as futures_thread
from contextlib import contextmanager, nullcontext
from math import inf
from typing import Any

import pytest

from tests.orders.scheduler import Run, Task, running

os_lock, os_rlock = threading.Lock, threading.RLock
os_thread, os_sleep, os_clock = threading.current_thread, time.sleep, time.monotonic


class Lock:
    """A lock of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        seconds = 0.0 if not blocking else timeout if timeout >= 0 else inf
        if not self._run.wait(lambda: not self._is_held, seconds):
            return False
        self._is_held = True
        return True

    def release(self) -> None:
        # a signal may come while it is held still
        self._run.point()
        if not self._is_held:
            raise RuntimeError("release unlocked lock")
        self._is_held = False

    def locked(self) -> bool:
        return self._is_held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Thread(threading.Thread):
    """A thread that is one of the run's, if one of these starts it."""

    _task: Task | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        run = running()
        self._number = next(run.numbers) if run else id(self)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        # an executor joins its threads in the order of a set, which is the same in each run
        return self._number

    def start(self) -> None:
        run = running()
        if not run:
            super().start()
            return
        # Python counts those without a name through the whole process
        self._task = run.spawn(re.sub(r"^Thread-\d+", "Thread", self.name), self.run)
        run.point()

    def join(self, timeout: float | None = None) -> None:
        run, task = running(), self._task
        if not run or not task:
            super().join(timeout)
            return
        run.wait(lambda: task.is_done, inf if timeout is None else timeout)

    def is_alive(self) -> bool:
        return not self._task.is_done if self._task else super().is_alive()


def _lock() -> object:
    run = running()
    return Lock(run) if run else os_lock()


def _rlock() -> object:
    return threading._RLock() if running() else os_rlock()


def _thread() -> threading.Thread:
    # Python does not know those of a run, and would make up an object for each
    return threading.main_thread() if running() else os_thread()


def _clock() -> float:
    run = running()
    return run.now if run else os_clock()


def _sleep(seconds: float) -> None:
    if run := running():
        run.wait(bool, seconds)
    else:
        os_sleep(seconds)


@contextmanager
def in_place() -> Iterator[None]:
    """Meanwhile the threads of runs get these."""
    with pytest.MonkeyPatch.context() as patch:
        for name, part in {"Lock": _lock, "_allocate_lock": _lock, "RLock": _rlock}.items():
            patch.setattr(threading, name, part)
        patch.setattr(threading, "Thread", Thread)
        patch.setattr(threading, "current_thread", _thread)
        patch.setattr(time, "sleep", _sleep)
        # the same clock under the names that they have for it
        for module, name in (time, "monotonic"), (threading, "_time"), (queue, "time"):
            patch.setattr(module, name, _clock)
        # Python's own in C would not be seen
        patch.setattr(queue, "SimpleQueue", queue._PySimpleQueue)
        # what all executors of the process share
        patch.setattr(futures_thread, "_threads_queues", {})
        patch.setattr(futures_thread, "_global_shutdown_lock", nullcontext())
        # its threads would tell that they are unwound
        patch.setattr(logging.getLogger("concurrent.futures"), "disabled", True)
        yield
