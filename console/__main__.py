"""`cartext`, which is `python -m console`: the command line as far as it needs no library."""

from __future__ import annotations

import gc
import sys

from console.outside import OUTSIDE, run


def main() -> int:
    """Runs one command; returns the exit status."""
    name, *arguments = sys.argv[1:] or [""]
    if name in OUTSIDE:
        return run(name, arguments)
    # of what is imported nothing is garbage, and looking for it takes a twelfth of a start
    gc.disable()
    if not sys.stderr.isatty():
        # the log's library would load what it shows traces with to a person, if that is there: a
        # tenth
        sys.modules["rich"] = None  # type: ignore[assignment]
    from console import command  # noqa: PLC0415

    try:
        return command.main()
    finally:
        # the interpreter looks through all there is before it leaves: another twelfth
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
