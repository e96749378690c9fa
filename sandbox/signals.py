"""How a command ends by a signal: in order, and once."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from importlib import import_module
from types import FrameType

from sandbox.errors import SandboxError
from sandbox.libraries import provide
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


def until_signal(name: str, module: str, options: Namespace) -> int:
    """Has a module serve until a signal; returns the exit status, says in a line what kept it."""
    leave_on_signals()
    try:
        provide()
        # it takes seconds to import, in which a signal must end it as quietly as later
        import_module(module).serve(options)
    except SystemExit:
        return DONE
    except (SandboxError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    return DONE
