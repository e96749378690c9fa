"""How a command ends by a signal: in order, and once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

from sandbox.errors import SandboxError
from workers.errors import DO_NOT_START_AGAIN, DONE

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signals() -> None:
    """Makes the first signal raise SystemExit, with 128 and its number, in the main thread.

    Under nohup the terminal's end is no such signal.
    """

    def leave(number: int, _: FrameType | None) -> None:
        # the way out may take some seconds, and a second signal may not cut it short
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in SIGNALS:
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, leave)


def until_signal(name: str, work: Callable[[], None]) -> int:
    """Works until a signal ends it; returns the exit status, and says in a line what kept it."""
    leave_on_signals()
    try:
        work()
    except SystemExit:
        return DONE
    except (SandboxError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    return DONE
