"""What all workers have read before they begin; only the process that they are forks of imports it.

It halves what a short run takes.
"""

from __future__ import annotations

from functools import cache

import boto3
from botocore.loaders import JSONFileLoader

import console.command
import console.services  # noqa: F401

_load = cache(JSONFileLoader().load_file)
JSONFileLoader.load_file = lambda _, path: _load(path)

for service in ("s3", "sqs", "rekognition", "dynamodb"):
    boto3.session.Session("nobody", "nothing", region_name="us-east-1").client(service)
