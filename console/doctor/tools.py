"""What the checks ask with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from botocore.exceptions import ClientError
from pydantic import Field

from workers.aws.calls import Calls
from workers.aws.codes import code_of
from workers.images.bucket import Bucket
from workers.settings import Settings


class DoctorSettings(Settings):
    """Asks everything that a run needs, before anything is paid for; 78 where a point is wrong.

    example:
      cartext doctor --bucket my-photos --queue-url "$QUEUE_URL"
      cartext doctor --bucket my-photos --queue-url "$QUEUE_URL" --role label --json
    """

    role: Literal["both", "label", "text"] = Field(
        "both", description="whose permissions are asked for: those of one worker, or of both"
    )
    paid: bool = Field(
        False, description="ask Rekognition about one image as well, a paid call of each kind"
    )
    as_json: bool = Field(False, validation_alias="json", description="print JSON")

    @property
    def labels(self) -> bool:
        """Whether the label worker's permissions are asked for."""
        return self.role != "text"

    @property
    def reads(self) -> bool:
        """Whether the text worker's permissions are asked for."""
        return self.role != "label"


class Clock:
    """By how much this machine's clock differs from AWS's; None while no answer has come."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.ahead: timedelta | None = None

    def watch(self, client: Any) -> None:
        """Looks at the dates of all answers that this client gets, errors among them."""
        client.meta.events.register("after-call", self._note)

    def _note(self, http_response: Any, **_: Any) -> None:
        if date := http_response.headers.get("date"):
            self.ahead = self._now() - parsedate_to_datetime(date)


@dataclass
class Tools:
    """Settings, the policy of calls, a client of each service; `account` is the login's."""

    settings: DoctorSettings
    calls: Calls
    clock: Clock
    clients: dict[str, Any]
    account: str | None = None

    @property
    def bucket(self) -> Bucket:
        """The bucket that the settings name."""
        return Bucket(self.clients["s3"], self.calls, self.settings)

    def prove(
        self, what: str, codes: set[str], request: Callable[..., Any], **arguments: Any
    ) -> None:
        """Makes a request that cannot be right: who is refused for that may make it."""

        def ask() -> Any:
            try:
                return request(**arguments)
            except ClientError as error:
                if code_of(error) not in codes:
                    raise
                return {}

        self.calls.call(what, ask, dict)
