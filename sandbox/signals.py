"""How a command ends by a signal: in order, and once."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_on_signals() -> None:
    """Makes the first signal raise SystemExit, with 128 and its number, in the main thread."""

    def leave(number: int, _: FrameType | None) -> None:
        # the way out may take some seconds, and a second signal may not cut it short
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for each in SIGNALS:
        signal.signal(each, leave)
