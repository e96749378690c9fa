"""`cartext`, which is `python -m console`: the command line as far as it needs no library."""

from __future__ import annotations

import sys

from console.outside import OUTSIDE, run


def main() -> int:
    """Runs one command; returns the exit status."""
    name, *arguments = sys.argv[1:] or [""]
    if name in OUTSIDE:
        return run(name, arguments)
    # it takes a second to import
    from console import command  # noqa: PLC0415

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
