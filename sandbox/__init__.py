"""AWS on one machine: S3, SQS, EC2, IAM … by moto, and a Rekognition that really looks."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# of a checkout, or of whoever has installed the wheel
CACHE = (
    ROOT / ".cache"
    if (ROOT / "pyproject.toml").is_file()
    else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cartext")
)

# moto asks boto3 about regions while it is imported, and that stumbles over a profile that is gone
PROFILE = {
    name: os.environ.pop(name)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    if name in os.environ
}
