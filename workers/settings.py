"""Everything that can be set: each field is an environment variable, a line of a file, a flag."""

from __future__ import annotations

import math
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# a text detection takes half a second and more
SLOW_CALL_SECONDS = 0.75
URL = r"^https?://\S+/\S+$"
RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
# a run's folder lies beside these
NOT_RUN_NAMES = re.compile(r"ledger\.sqlite3(-\w+)?|(label|text)\.lock|run\.env")

# what the version before had, and what there is instead
GONE = {
    "CARTEXT_SHARDS": "label workers that share a table share the listing by "
    "CARTEXT_PARTS_QUEUE_URL",
    "CARTEXT_QUOTA_WORKERS": "workers that share a table share the quota by themselves; others "
    "set CARTEXT_QUOTA to a share of it",
}

ImageSource = Literal["auto", "bytes", "s3"]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


def _names(given: object) -> object:
    """Names from a text with commas or from a list of such, each once."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)):
        return given
    names = [name.strip() for text in texts for name in str(text).split(",")]
    if not all(names):
        raise ValueError("a name is empty")
    return tuple(dict.fromkeys(names))


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_names)]
Seconds = Annotated[float, Field(ge=0.001, le=86_400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Settings of both workers.

    Sources, the first that has a value wins: flag (`--in-flight 64`), environment variable
    (`CARTEXT_IN_FLIGHT=64`), a line in the env file `cartext.env` of the working folder, default.
    Region, credentials and endpoint are not here: the AWS SDK's own `AWS_REGION`, `AWS_PROFILE`,
    `AWS_ENDPOINT_URL` … hold.
    """

    model_config = SettingsConfigDict(
        env_prefix="CARTEXT_",
        env_prefix_target="all",  # also where the flag is not called as the field
        env_file="cartext.env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    bucket: str = Field(
        description="S3 bucket with the images", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
    )
    prefix: str = Field("", description="only keys that begin with this")
    keys: Path | None = Field(
        None,
        description="label worker: instead of a listing, a file of keys, one a line, or an S3 "
        "Inventory's CSV with sizes and ETags; plain or gzip",
    )
    expected_bucket_owner: str | None = Field(
        None,
        description="12 digits: the account that must own the bucket, else nothing is asked of it",
        pattern=r"^[0-9]{12}$",
    )
    queue_url: str = Field(description="URL of the index queue", pattern=URL)
    parts_queue_url: str | None = Field(
        None,
        description="label worker of a fleet: URL of the queue of the listing's parts",
        pattern=URL,
    )
    run: str = Field(
        "default",
        description="name of the run: a finished run stays finished, a new name asks again, and "
        "pays for what is not known yet",
        pattern=RUN_NAME,
    )
    state_dir: Path = Field(
        Path("state"), description="folder of the ledger and of the output, on a disk that lasts"
    )
    ledger: str | None = Field(
        None,
        description="where it is kept what is done: sqlite:///FILE (default: in state-dir), or "
        "dynamodb://TABLE for several workers of a kind",
        pattern=r"^(sqlite:///.+|dynamodb://[A-Za-z0-9_.-]{3,255})$",
    )
    worker: str = Field(
        default_factory=socket.gethostname, description="this worker's name in the log"
    )

    label: Names = Field(
        ("Car",), description="labels of which an image must have one, with commas in between"
    )
    min_confidence: Percent = Field(
        90.0, description="percent; the label's confidence must be higher than this"
    )
    text_confidence: Percent = Field(
        80.0, description="percent; text lines below this are left out"
    )
    text_on: Literal["image", "label"] = Field(
        "image",
        description="where text counts: on the whole image, or only on the label's own boxes",
    )
    text_pattern: str = Field(
        "", description="a regular expression: only text lines in which it is found"
    )
    label_source: ImageSource = Field(
        "s3", description="how label detection gets an image: s3 (by reference), bytes or auto"
    )
    text_source: ImageSource = Field(
        "auto",
        description="how text detection gets an image: bytes (downloaded), s3 (by reference), or "
        "auto: bytes up to 1 MB, else by reference once its ETag was checked",
    )

    in_flight: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="images worked on at once (default: as many as the quota allows in 0.75 s, "
        "32 to 256)",
    )
    quota: float = Field(
        50.0,
        ge=0.001,
        le=1_000_000,
        allow_inf_nan=False,
        description="the account's Rekognition quota for this call, in calls a second; a fleet "
        "shares it",
    )
    retry_seconds: Seconds = Field(
        60.0, description="how long one call is tried again before it counts as failed"
    )
    tries: int = Field(
        3,
        ge=1,
        le=1000,
        description="how often an image is tried on which the service keeps failing",
    )
    budget_dollars: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="label worker: a run that may cost more does not start",
    )
    over_budget: bool = Field(False, description="label worker: start though it may cost more")
    topic_arn: str | None = Field(
        None,
        description="SNS topic that is told when a run is finished, stopped or over its budget",
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$",
    )

    linger_seconds: float = Field(
        0.1, ge=0, le=5, description="longest wait of an index for a fuller batch"
    )
    poll_seconds: int = Field(
        5, ge=0, le=20, description="longest wait of one request for messages"
    )
    visibility_timeout: int = Field(
        120, ge=3, le=43200, description="seconds a message stays hidden; renewed while worked on"
    )
    foreign_end_seconds: Seconds = Field(
        60.0,
        description="text worker: after a bare -1, or ends that contradict what is known, how long "
        "the queue must be empty",
    )
    label_sender: str | None = Field(
        None,
        description="text worker: unique id (AROA…, AIDA…) of the label worker's role or user; if "
        "given, what anybody else sends in its name is refused",
        pattern=r"^[A-Za-z0-9_]{12,128}$",
    )

    progress_seconds: Seconds = Field(5.0, description="time between two progress lines")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="auto: text on a terminal, JSON elsewhere"
    )

    @field_validator("run")
    @classmethod
    def _run_is_no_file(cls, run: str) -> str:
        if problem := run_name_problem(run):
            raise ValueError(problem)
        return run

    @field_validator("text_pattern")
    @classmethod
    def _pattern_is_one(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.parts_queue_url and self.ledger_file:
            raise ValueError(
                "CARTEXT_PARTS_QUEUE_URL is given, but the ledger is a file: a fleet shares a "
                "table, CARTEXT_LEDGER=dynamodb://TABLE"
            )
        if self.parts_queue_url == self.queue_url:
            raise ValueError(
                "CARTEXT_PARTS_QUEUE_URL is the index queue's: parts have a queue of their own"
            )
        return self

    @property
    def ledger_url(self) -> str:
        """URL of the ledger."""
        return self.ledger or f"sqlite:///{self.state_dir / 'ledger.sqlite3'}"

    @property
    def ledger_file(self) -> Path | None:
        """File of the ledger; None where that is a table."""
        kind, _, path = self.ledger_url.partition(":///")
        return Path(path) if kind == "sqlite" else None

    @property
    def slots(self) -> int:
        """How many images are worked on at once; by default enough for slow calls at the quota."""
        return self.in_flight or min(max(32, math.ceil(self.quota * SLOW_CALL_SECONDS)), 256)

    @property
    def longest_hold(self) -> float:
        """Seconds that an image may reasonably be in flight: its turn, a download, a detection."""
        return max(self.visibility_timeout, 5 * self.retry_seconds)

    @property
    def run_dir(self) -> Path:
        """Folder of this run's output."""
        return self.state_dir / self.run


def run_name_problem(name: str) -> str | None:
    """Why a run cannot have this name, if it cannot."""
    if not re.fullmatch(RUN_NAME, name):
        return f"the run's name {name!r} is not one: letters, digits, `.`, `_`, `-`, 80 at most"
    if NOT_RUN_NAMES.fullmatch(name):
        return f"the run's name {name!r} is that of a file in the state folder"
    return None
