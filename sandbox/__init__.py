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

# moto asks boto3 about regions while it is imported, and that stumbles over a profile that is gone,
# and over files that are none
_NOT_OURS = {
    "AWS_PROFILE": None,
    "AWS_DEFAULT_PROFILE": None,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def _replaced(name: str, value: str | None) -> str | None:
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    return before


_PERSONS = {name: _replaced(name, value) for name, value in _NOT_OURS.items()}


def persons_environment() -> dict[str, str]:
    """The environment with the person's own profile and files."""
    return {k: v for k, v in {**os.environ, **_PERSONS}.items() if v is not None}
