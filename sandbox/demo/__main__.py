"""`python -m sandbox.demo`, which is `make demo`: the command line of the demo."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox import ROOT
from sandbox.demo.folder import demo_folder
from sandbox.demo.pair import WorkerFailedError
from sandbox.demo.story import Demo
from sandbox.errors import SandboxError
from sandbox.signals import leave_on_signals
from workers.errors import DO_NOT_START_AGAIN, DONE, RunError

EPILOG = f"""\
examples:
  python -m sandbox.demo                          ten drawn scenes, 1.jpg to 10.jpg
  python -m sandbox.demo --images ~/Pictures      your own photos, sub-folders too

exit status:
  {DONE}    both workers are done and, with drawn scenes, the output is true
  1    a worker failed, or the output is not what was drawn
  {DO_NOT_START_AGAIN}   a folder cannot be used, or the label model cannot be fetched
  128+n  stopped by signal n (130: Ctrl-C)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status."""
    options = _options(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    leave_on_signals()
    try:
        with demo_folder(options.folder) as folder:
            return Demo(folder).run(options.images, options.scenes)
    except (SandboxError, RunError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    except WorkerFailedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # nobody reads on; the interpreter would complain about it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit:
        print("Stopped; nothing of it runs any more.", file=sys.stderr)
        raise


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m sandbox.demo",
        description="Finds the cars in some pictures and reads the text on them, on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, metavar="FOLDER", help="your own pictures")
    source.add_argument(
        "--scenes", type=positive, default=10, metavar="N", help="drawn scenes (default: 10)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "demo",
        help="where everything is written; what an earlier demo left there goes (default: demo/)",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
