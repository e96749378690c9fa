"""What Rekognition answers instead of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - it is an answer
    """An error of the real service: its code, what it says, the HTTP status."""

    code: str
    message: str
    status: int = 400

    @property
    def body(self) -> dict[str, Any]:
        return {"__type": self.code, "Code": self.code, "Message": self.message}


def invalid_parameters() -> Refusal:
    return Refusal("InvalidParameterException", "Request has invalid parameters")


def invalid_format(message: str = "Request has invalid image format") -> Refusal:
    return Refusal("InvalidImageFormatException", message)


def unable_to_get() -> Refusal:
    """Says no more than the real service does: no key, another region and no permission are one."""
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. "
        "Check object key, region and/or access permissions.",
    )


def internal_error(message: str = "Internal server error") -> Refusal:
    return Refusal("InternalServerError", message, 500)
