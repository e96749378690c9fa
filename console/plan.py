"""What a run would take, from the listing alone: how many images, how long, how many dollars."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from console.parts import open_bucket
from console.words import bytes_text, duration_text, table
from workers import price
from workers.aws.quota import SHARE_OF_QUOTA
from workers.errors import RunError
from workers.images.bucket import HEAD_BYTES, Bucket
from workers.images.limits import most_inline, unfit
from workers.model import Image
from workers.price import dollars_text
from workers.settings import ImageSource, Settings

# what a call to Rekognition usually takes, when it comes to what the threads can do at most
CALL_SECONDS = 0.5
EXAMPLES = 3
IMAGE_NAMES = (".jpg", ".jpeg", ".png")


class PlanSettings(Settings):
    """Says what a run would take. It lists the bucket, and asks for nothing that is paid for.

    example:
      cartext plan --bucket my-photos --quota 50 --quota-workers 2 --budget-dollars 20
    """

    model_config = SettingsConfigDict(env_prefix_target="all")

    queue_url: str = Field("", description="not needed here")
    as_json: bool = Field(False, validation_alias="json", description="print JSON")


@dataclass
class Plan:
    """The listing added up; sizes in bytes, `broken` counts by reason what is not recognisable.

    `moved` is what the text worker moves, the busier way, when every image has the label.

    `oddly_named` are images whose names end in neither .jpg, .jpeg nor .png; their content decides.
    """

    listed: int = 0
    size: int = 0
    moved: float = 0
    oddly_named: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many can be looked at, as far as a listing tells."""
        return self.listed - self.broken.total()

    @property
    def dollars_at_most(self) -> float:
        """Every image has the label, so that each is looked at and read."""
        return price.most_dollars(self.images)

    @property
    def dollars_at_least(self) -> float:
        """No image has the label."""
        return price.least_dollars(self.images)

    def seconds(self, settings: Settings) -> float:
        """How long the run takes when both kinds of worker are at their full rate."""
        return self.images / fleet_rate(settings)

    def bytes_per_second(self, settings: Settings) -> float:
        """What one text worker moves at most, when it is at its full rate."""
        each = self.moved / self.images if self.images else 0
        return each * fleet_rate(settings) / settings.quota_workers

    def add(self, image: Image, source: ImageSource) -> None:
        """Counts one object of the listing, which goes to text detection from this source."""
        self.listed += 1
        problem = unfit(image)
        if not problem:
            self.size += image.size
            self.moved += text_traffic(image.size, source)
            self.oddly_named += not image.index.lower().endswith(IMAGE_NAMES)
            return
        reason = problem.partition(":")[0]
        self.broken[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(image.index)


def fleet_rate(settings: Settings) -> float:
    """Images a second of all workers of a kind: what the quota or their threads let through."""
    by_quota = settings.quota * SHARE_OF_QUOTA
    by_threads = settings.slots * settings.quota_workers / CALL_SECONDS
    return min(by_quota, by_threads)


def text_traffic(size: int, source: ImageSource) -> float:
    """Bytes that an image of this size costs the text worker's network, the busier way."""
    if size <= most_inline(source):
        # sent in base 64
        return size * 4 / 3
    return 0 if source == "s3" else HEAD_BYTES


def make_plan(bucket: Bucket, source: ImageSource) -> Plan:
    """Lists the bucket, a page at a time in memory."""
    plan = Plan()
    for page in bucket.pages(whole=True):
        for image in page:
            plan.add(image, source)
    return plan


def run(settings: PlanSettings) -> None:
    """Prints the plan; raises RunError when the run may cost more than the budget."""
    show(settings, open_bucket(settings))


def show(settings: PlanSettings, bucket: Bucket) -> None:
    """Prints the plan of what is in the bucket, and raises RunError as `run` does."""
    bucket.check()
    plan = make_plan(bucket, settings.text_source)
    if settings.as_json:
        text = json.dumps(as_dict(plan, settings), indent=2)
    else:
        text = as_text(plan, settings, bucket.region)
    print(text)  # noqa: T201 - what the command is for
    if refusal := price.refusal(plan.images, settings):
        raise RunError(refusal)


def as_dict(plan: Plan, settings: Settings) -> dict[str, Any]:
    """The plan as JSON has it."""
    return {
        "schema": 1,
        "run": settings.run,
        "bucket": settings.bucket,
        "prefix": settings.prefix,
        **vars(plan),
        "images": plan.images,
        "images_per_second": round(fleet_rate(settings), 2),
        "seconds": round(plan.seconds(settings), 1),
        "text_bytes_per_second": round(plan.bytes_per_second(settings)),
        "dollars_at_least": round(plan.dollars_at_least, 4),
        "dollars_at_most": round(plan.dollars_at_most, 4),
        "budget_dollars": settings.budget_dollars,
        "within_budget": price.refusal(plan.images, settings) is None,
    }


def as_text(plan: Plan, settings: Settings, region: str) -> str:
    """The plan as a person reads it."""
    fleet = f"{settings.quota_workers} of each worker" if settings.quota_workers > 1 else "a pair"
    seconds = plan.seconds(settings)
    rows = [
        ("images", f"{plan.images:,}", bytes_text(plan.size)),
        *_broken_rows(plan),
        (
            "time",
            duration_text(seconds) if seconds >= 1 else "under 1 s",
            f"{fleet_rate(settings):.1f} images/s: {fleet}, {settings.slots} images in flight "
            f"each, a quota of {settings.quota:g} calls/s",
        ),
        ("network", f"{bytes_text(plan.bytes_per_second(settings))}/s", _machine(plan, settings)),
        (
            "at most",
            dollars_text(plan.dollars_at_most),
            f"every image has a {_names(settings)} and is read; "
            f"{dollars_text(plan.dollars_at_least)} if none has",
        ),
    ]
    if settings.budget_dollars is not None:
        within = "over it" if price.refusal(plan.images, settings) else "enough"
        if settings.over_budget and plan.dollars_at_most > settings.budget_dollars:
            within = "over it, as allowed"
        rows.append(("budget", dollars_text(settings.budget_dollars), within))
    where = f"s3://{settings.bucket}/{settings.prefix} in {region}, run {settings.run}"
    return f"{where}\n\n{table(rows)}"


def _machine(plan: Plan, settings: Settings) -> str:
    """What machine a text worker needs."""
    told = f"of each text worker, if every image has a {_names(settings)}"
    if machine := price.machine_for(plan.bytes_per_second(settings)):
        name, moves = machine
        return f"{told}: {name} moves {bytes_text(moves)}/s for long"
    name, _ = price.BASELINES[-1]
    return f"{told}: more than {name} moves for long; take more text workers, or text-source s3"


def _broken_rows(plan: Plan) -> Iterable[tuple[str, str, str]]:
    if not plan.broken:
        yield "not recognisable", "0", ""
    for number, (reason, count) in enumerate(plan.broken.most_common()):
        shown = ", ".join(repr(key)[1:-1] for key in plan.examples[reason])
        more = ", …" if count > len(plan.examples[reason]) else ""
        yield "" if number else "not recognisable", f"{count:,}", f"{reason}: {shown}{more}"
    if plan.oddly_named:
        note = "their names do not end in .jpg, .jpeg or .png; the content will decide"
        yield "", f"({plan.oddly_named:,})", note


def _names(settings: Settings) -> str:
    return " or ".join(settings.label)
