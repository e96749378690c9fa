"""`cartext sandbox`, which is `make sandbox`: AWS on this machine for any client, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sandbox.arguments import add_knobs, folder, port
from sandbox.signals import until_signal
from workers.errors import DO_NOT_START_AGAIN, DONE

EPILOG = f"""\
example:
  cartext sandbox --images ~/Pictures --latency 0.25

  Paste the lines that it prints into other terminals. Whatever AWS client runs there talks to the
  sandbox: cartext label, cartext text, aws s3 ls s3://images, terraform apply …

exit status:
  {DONE}   ended by Ctrl-C or SIGTERM
  {DO_NOT_START_AGAIN}  a taken port, an unusable folder, something that cannot be fetched
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    options = command_line().parse_args(arguments)
    return until_signal("sandbox", "sandbox.serve", options)


def command_line() -> argparse.ArgumentParser:
    """What may be typed."""
    parser = argparse.ArgumentParser(
        "cartext sandbox",
        description="AWS on this machine (S3, SQS, EC2, IAM …), with a Rekognition that looks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=port, default=0, help="default: any that is free")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate of its own")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--images", type=folder, metavar="FOLDER", help="uploads your own, JPEG or PNG"
    )
    source.add_argument(
        "--scenes", type=int, default=10, metavar="N", help="uploads drawn ones (default: 10)"
    )
    add_knobs(parser)
    parser.add_argument(
        "--overtaken", metavar="INDEX", help="whose message nobody gets before the end mark -1"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
