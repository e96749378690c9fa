"""`cartext`, which is `python -m console`: the command line as far as it needs no library."""

from __future__ import annotations

import gc
import os
import sys

from console.sandbox_commands import OUTSIDE, run


def main() -> int:
    """Runs one command; returns the exit status."""
    _open_what_is_closed()
    name, *arguments = sys.argv[1:] or [""]
    if name in OUTSIDE:
        return run(name, arguments)
    # nothing that is imported is garbage, and looking for it takes a twentieth of a start
    gc.disable()
    if not sys.stderr.isatty():
        # the log's library would load what shows traces to a person, where that is: another eighth
        sys.modules["rich"] = None  # type: ignore[assignment]
    from console import command  # noqa: PLC0415

    try:
        return command.main()
    finally:
        # nor at the end, when the interpreter looks through all there is: another twentieth
        gc.freeze()


def _open_what_is_closed() -> None:
    """Has nothing in the place of a closed standard stream: else the next file would be there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for good


if __name__ == "__main__":
    sys.exit(main())
