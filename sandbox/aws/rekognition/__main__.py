"""`cartext rekognition`: the Rekognition that looks, before any S3, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sandbox.arguments import add_knobs, address, port
from sandbox.signals import until_signal
from workers.errors import DO_NOT_START_AGAIN, DONE

EPILOG = f"""\
example:
  cartext rekognition --s3 http://127.0.0.1:4566 --port 4567

  Then AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:4567 points any AWS client at it. It takes any
  key, and reads objects with the login of its own environment (AWS_ACCESS_KEY_ID, AWS_PROFILE …).

exit status:
  {DONE}   ended by Ctrl-C or SIGTERM
  {DO_NOT_START_AGAIN}  a taken port, an S3 that cannot be asked, something that cannot be fetched
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    options = command_line().parse_args(arguments)
    return until_signal("rekognition", "sandbox.aws.rekognition.standalone", options)


def command_line() -> argparse.ArgumentParser:
    """What may be typed."""
    parser = argparse.ArgumentParser(
        "cartext rekognition",
        description="A Rekognition on this machine that looks: DetectLabels and DetectText, on "
        "bytes and on the objects of any S3.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--s3",
        type=address,
        metavar="URL",
        help="where the objects are (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS)",
    )
    parser.add_argument("--port", type=port, default=0, help="default: any that is free")
    parser.add_argument("--json", action="store_true", help="print where it is as JSON")
    add_knobs(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
