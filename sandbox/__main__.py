"""`python -m sandbox`: AWS on this machine for any client, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.request import getproxies

from sandbox.aws.rekognition import eyes
from sandbox.aws.rekognition.service import knobs
from sandbox.aws.server import Sandbox, shell_exports
from sandbox.errors import SandboxError
from sandbox.pictures import pictures
from sandbox.signals import leave_on_signals
from workers.errors import DO_NOT_START_AGAIN, DONE

BUCKET, QUEUE = "images", "index"
NO_PROXY = "127.0.0.1,localhost"

EPILOG = f"""\
example:
  python -m sandbox --images ~/Pictures --latency 0.25

  Paste the lines that it prints into other terminals. Whatever AWS client runs there talks to the
  sandbox: cartext label, cartext text, aws s3 ls s3://{BUCKET}, terraform apply …

exit status:
  {DONE}   ended by Ctrl-C or SIGTERM
  {DO_NOT_START_AGAIN}  a taken port, an unusable folder, a label model that cannot be fetched
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    options = _options(arguments)
    leave_on_signals()
    try:
        _serve(options)
    except SystemExit:
        return DONE
    except (SandboxError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return DO_NOT_START_AGAIN


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m sandbox",
        description="AWS on this machine (S3, SQS, EC2, IAM …), with a Rekognition that looks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=0, help="default: any that is free")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate of its own")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, metavar="FOLDER", help="uploads your own pictures")
    source.add_argument(
        "--scenes", type=int, default=10, metavar="N", help="uploads drawn ones (default: 10)"
    )
    parser.add_argument(
        "--latency", type=float, default=0, metavar="SECONDS", help="of a Rekognition call"
    )
    parser.add_argument(
        "--calls-per-second",
        type=float,
        metavar="N",
        help="quota of each Rekognition operation; calls above it are throttled (default: none)",
    )
    parser.add_argument(
        "--failure-rate",
        type=float,
        default=0,
        metavar="SHARE",
        help="share (0 to 1) of the Rekognition calls that end in InternalServerError",
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    number = int(text)
    if number not in range(65536):
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return number


def _serve(options: argparse.Namespace) -> NoReturn:
    images = pictures(options.images, options.scenes, _left_out)
    with Sandbox(port=options.port, tls=options.tls) as sandbox:
        bucket = sandbox.create_bucket(BUCKET, images)
        queue_url = sandbox.create_queue(QUEUE)
        eyes.warm_up()
        knobs.latency_seconds = options.latency
        knobs.calls_per_second = options.calls_per_second
        knobs.failure_rate = options.failure_rate
        exports = {"CARTEXT_BUCKET": bucket, "CARTEXT_QUEUE_URL": queue_url}
        if getproxies():
            exports |= {"NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY}
        print("# AWS on this machine, until Ctrl-C. Paste this into other terminals:")
        print("unset AWS_PROFILE AWS_SESSION_TOKEN")
        print(shell_exports(sandbox.aws_environment | exports), flush=True)
        while True:
            time.sleep(3600)


def _left_out(name: str, reason: str) -> None:
    print(f"sandbox: left out {name}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
