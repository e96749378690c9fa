"""What all workers have read before they begin; only the process that they are forks of imports it.

It halves what a short run takes.
"""

from __future__ import annotations

from functools import cache

from botocore.session import Session

import console.label
import console.running
import console.text  # noqa: F401
from workers.aws import fast

_load = cache(fast.Files().load_file)
fast.Files.load_file = lambda _, path: _load(path)

for service in ("s3", "sqs", "rekognition", "dynamodb"):
    sdk = Session()
    sdk.set_credentials("nobody", "nothing")
    fast.speed_up(sdk, service)
    sdk.create_client(service, "us-east-1")
