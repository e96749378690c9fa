"""A run in one order of its threads: one of them goes at a time; at each point it is chosen who.

A point is each use of a lock, each wait, start and join of a thread, and each line of `workers`.
The clock is virtual: it stands still while any thread can go on, and else is at the next deadline.
"""

from __future__ import annotations

import _thread
import itertools
import linecache
import sys
import threading
import traceback
from collections.abc import Callable
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
WATCHED = str(ROOT / "workers")
SHOWN = WATCHED, str(ROOT / "tests")
# the harness itself is no place of interest
HIDDEN = [
    str(Path(__file__).with_name(f"{name}.py")) for name in ("scheduler", "parts", "explorer")
]
# more of them, and a thread goes round for ever
MOST_STEPS = 20_000

_here = threading.local()


def running() -> Run | None:
    """The run that this thread is one of; None for all other threads of the process."""
    return getattr(_here, "run", None)


class OverError(BaseException):
    """Unwinds a thread that is left when its run is over."""


class Task:
    """A thread of a run, and what it waits for: a condition, or until it is `due`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.until: Callable[[], bool] = bool
        self.due = -inf
        self.is_done = False
        self.interrupts: list[Callable[[], object]] = []
        self.baton, self.has_left = _taken(), _taken()
        self.ident = 0


class Run:
    """One run of a scenario.

    `choose` gets the run and the tasks that could go on, first the one that a plain order would
    take: who is at it as long as it can, then the others in turn. If `slow`, a thread may be as
    slow as it likes, so that a deadline may come before it goes on.
    """

    def __init__(self, choose: Callable[[Run, list[Task]], int], slow: bool = False) -> None:
        self._choose = choose
        self._slow = slow
        self._over = False
        self._ended = _taken()
        self._tasks: list[Task] = []
        self.numbers = itertools.count()
        self.now = 1000.0
        self.step = 0
        self.problem = ""

    def of(self, scenario: Callable[[], object]) -> Run:
        """Runs it to the end of its main thread; `problem` says what went wrong, if anything."""
        self.current = self.main = self.spawn("main", scenario)
        self.main.baton.release()
        self._ended.acquire()
        for task in self._tasks:
            if not task.is_done:
                task.baton.release()
            task.has_left.acquire()
        return self

    def spawn(self, name: str, function: Callable[[], object]) -> Task:
        """A new thread, which begins when it is chosen."""
        same = sum(task.name.partition("~")[0] == name for task in self._tasks)
        task = Task(f"{name}~{same + 1}" if same else name)
        self._tasks.append(task)
        # a thread as Python's own are made of: those have locks, which would be this run's
        task.ident = _thread.start_new_thread(self._live, (task, function))
        return task

    def interrupt(self, handler: Callable[[], object]) -> None:
        """A signal: the main thread calls it wherever it is, also while it waits."""
        self.main.interrupts.append(handler)

    def point(self) -> None:
        """Others may go on here."""
        self.wait(bool, -inf)

    def wait(self, until: Callable[[], bool], seconds: float = inf) -> bool:
        """Waits for a condition, so many seconds at most; returns whether it holds."""
        if self._over:
            raise OverError
        task, due = self.current, self.now + seconds
        while True:
            task.until, task.due = until, due
            self._pass_on()
            if not task.interrupts:
                return until()
            while task.interrupts:
                task.interrupts.pop(0)()

    @property
    def place(self) -> str:
        """Which thread is at a point, and at which line."""
        frame: FrameType | None = sys._getframe()
        while frame and not _is_shown(frame):
            frame = frame.f_back
        return f"{self.current.name}: {_line(frame) if frame else 'the end'}"

    def _live(self, task: Task, function: Callable[[], object]) -> None:
        task.baton.acquire()
        _here.run = self
        try:
            if not self._over:
                sys.settrace(self._trace)
                function()
        except (OverError, SystemExit):
            pass
        except BaseException as error:
            if not self._over:
                told = "".join(traceback.format_exception(error))
                self.problem = f"{task.name}: {error!r}\n{told}"
        sys.settrace(None)
        task.is_done = True
        if not self._over:
            if task is self.main or self.problem:
                self._end()
            else:
                self._pass_on()
        task.has_left.release()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        if event == "line":
            self.point()
        return self._trace

    def _pass_on(self) -> None:
        before, after = self.current, self._next()
        if after is before:
            return
        if after:
            self.current = after
            after.baton.release()
        if not before.is_done:
            before.baton.acquire()
            if self._over:
                raise OverError

    def _next(self) -> Task | None:
        at = self._tasks.index(self.current)
        left = [t for t in self._tasks[at:] + self._tasks[:at] if not t.is_done]
        able = [t for t in left if t.interrupts or t.due <= self.now or t.until()]
        later: list[Task] = []
        if self._slow or not able:
            later = sorted((t for t in left if t not in able and t.due < inf), key=lambda t: t.due)
        candidates = able + later if self._slow else able or later[:1]
        if not candidates or self.step == MOST_STEPS:
            self.problem = "nobody can go on" if not candidates else "it never ends"
            self.problem += "".join(map(_where, left))
            self._end()
            return None
        chosen = candidates[self._choose(self, candidates)]
        self.step += 1
        if chosen not in able:
            self.now = chosen.due
        return chosen

    def _end(self) -> None:
        self._over = True
        self._ended.release()


def _taken() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def _is_shown(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(SHOWN) and file not in HIDDEN


def _line(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def _where(task: Task) -> str:
    # one that has just been started may not be anywhere yet
    inner = sys._current_frames().get(task.ident)
    stack = traceback.walk_stack(inner) if inner else ()
    return f"\n  {task.name} waits" + "".join(
        f"\n    {Path(frame.f_code.co_filename).relative_to(ROOT)}:{line}  {_line(frame)}"
        for frame, line in stack
        if _is_shown(frame)
    )
