"""The embedded AWS by itself: a bucket, a queue, and the lines that point a shell at them."""

from __future__ import annotations

import argparse
import time
from typing import NoReturn

from sandbox.aws.rekognition import eyes
from sandbox.aws.rekognition.service import knobs
from sandbox.aws.server import Sandbox
from sandbox.exports import path_to_cartext, shell_lines
from sandbox.pictures import pictures, told_by
from workers.index_queue.messages import END_MARK

BUCKET, QUEUE = "images", "index"


def serve(options: argparse.Namespace) -> NoReturn:
    """Serves until a signal; raises SandboxError or OSError when it cannot begin."""
    images = pictures(options.images, options.scenes, told_by("sandbox"))
    with Sandbox(port=options.port, tls=options.tls) as sandbox:
        bucket = sandbox.create_bucket(BUCKET, images)
        queue_url = sandbox.create_queue(QUEUE)
        eyes.warm_up()
        knobs.turn(options)
        if options.overtaken:
            sandbox.overtaken[options.overtaken] = END_MARK
        exports = {"CARTEXT_BUCKET": bucket, "CARTEXT_QUEUE_URL": queue_url}
        print("# AWS on this machine, until Ctrl-C. Paste this into other terminals:")
        print(shell_lines(sandbox.aws_environment | exports))
        print(path_to_cartext(), flush=True)
        while True:
            time.sleep(3600)
