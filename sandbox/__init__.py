"""AWS on one machine: S3, SQS, EC2, IAM … by moto, and a Rekognition that really looks."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# else whoever has installed the wheel has it among other packages
IS_CHECKOUT = (ROOT / "pyproject.toml").is_file()
CACHE = (
    ROOT / ".cache"
    if IS_CHECKOUT
    else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cartext")
)

# moto asks boto3 about regions while it is imported, and that stumbles over a profile that is gone
PROFILE = {
    name: os.environ.pop(name)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    if name in os.environ
}
