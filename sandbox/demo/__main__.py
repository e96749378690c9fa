"""`cartext demo`, which is `make demo`: the command line of the demo."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.arguments import folder, positive
from sandbox.errors import SandboxError, WorkerFailedError
from sandbox.libraries import provide
from sandbox.signals import leave_on_signals
from workers.errors import DO_NOT_START_AGAIN, DONE, RunError

EPILOG = f"""\
examples:
  cartext demo                        ten drawn scenes, 1.jpg to 10.jpg
  cartext demo --images ~/Pictures    your own JPEG and PNG photos, sub-folders too

exit status:
  {DONE}    both workers are done and, with drawn scenes, the output is true
  1    a worker failed, or the output is not what was drawn
  {DO_NOT_START_AGAIN}   a folder cannot be used, or something that it needs cannot be fetched
  128+n  stopped by signal n (130: Ctrl-C)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status."""
    options = command_line().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    leave_on_signals()
    try:
        return _show(options)
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
    except OSError as error:
        from workers.output.files import advice  # noqa: PLC0415 - who asks for help has no pydantic yet

        print(f"demo: {error}; {advice(error)}", file=sys.stderr)
        return DO_NOT_START_AGAIN
    except SystemExit:
        print("Stopped; nothing of it runs any more.", file=sys.stderr)
        raise


def _show(options: argparse.Namespace) -> int:
    provide()
    # it takes seconds to import, in which a signal must end it as quietly as later
    from sandbox.demo.folder import demo_folder  # noqa: PLC0415
    from sandbox.demo.story import Demo  # noqa: PLC0415

    with demo_folder(options.folder) as folder:
        return Demo(folder).run(options.images, options.scenes)


def command_line() -> argparse.ArgumentParser:
    """What may be typed."""
    parser = argparse.ArgumentParser(
        "cartext demo",
        description="Finds the cars in some pictures and reads the text on them, on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--images", type=folder, metavar="FOLDER", help="your own pictures, JPEG or PNG"
    )
    source.add_argument(
        "--scenes", type=positive, default=10, metavar="N", help="drawn scenes (default: 10)"
    )
    parser.add_argument(
        "--folder",
        type=folder,
        default=Path("demo"),
        help="where everything is written; what an earlier demo left there goes (default: demo/)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
