"""What a run would take: its images added up, beside the estimate of what they still cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from workers.aws.quota import SHARE_OF_QUOTA
from workers.estimate import Estimate
from workers.images.bucket import HEAD_BYTES, Bucket
from workers.images.limits import most_inline, unfit
from workers.ledger import Ledger
from workers.model import Image
from workers.settings import ImageSource, Settings

# what a call to Rekognition usually takes, when it comes to what the threads can do at most
CALL_SECONDS = 0.5
EXAMPLES = 3
IMAGE_NAMES = (".jpg", ".jpeg", ".png")
# what a type moves for long in Gbit/s, each way, not its burst of some minutes:
# https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html#gp_network and co.html#co_network
BASELINES = (
    ("t3.small", 0.128),
    ("t3.medium", 0.256),
    ("t3.large", 0.512),
    ("t3.xlarge", 1.024),
    ("c7gn.medium", 3.125),
)


@dataclass
class Plan:
    """The images added up; sizes in bytes, `broken` counts by reason what is not recognisable.

    `moved` is what the text worker moves, the busier way, when every image has the label.

    `oddly_named` are images whose names end in neither .jpg, .jpeg nor .png; their content decides.
    """

    estimate: Estimate
    listed: int = 0
    size: int = 0
    moved: float = 0
    oddly_named: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long the calls take when both kinds of worker are at their full rate."""
        calls = max(self.estimate.label_calls, self.estimate.text_calls)
        return calls / full_rate(self.estimate.settings)

    @property
    def bytes_per_second(self) -> float:
        """What the text worker moves at most, when it is at its full rate."""
        images = self.estimate.images
        return self.moved / images * full_rate(self.estimate.settings) if images else 0

    def add(self, images: list[Image]) -> None:
        """Counts a page of the run's images."""
        self.estimate.add(images)
        for image in images:
            self._add(image)

    def _add(self, image: Image) -> None:
        self.listed += 1
        problem = unfit(image)
        if not problem:
            self.size += image.size
            self.moved += text_traffic(image.size, self.estimate.settings.text_source)
            self.oddly_named += not image.index.lower().endswith(IMAGE_NAMES)
            return
        reason = problem.partition(":")[0]
        self.broken[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(image.index)


def full_rate(settings: Settings) -> float:
    """Images a second of a worker that is alone: what the quota or its threads let through."""
    by_quota = settings.quota * SHARE_OF_QUOTA
    by_threads = settings.slots / CALL_SECONDS
    return min(by_quota, by_threads)


def text_traffic(size: int, source: ImageSource) -> float:
    """Bytes that an image of this size costs the text worker's network, the busier way."""
    if size <= most_inline(source):
        # sent in base 64
        return size * 4 / 3
    return 0 if source == "s3" else HEAD_BYTES


def machine_for(bytes_per_second: float) -> tuple[str, float] | None:
    """The smallest type that moves so much for long, and what it moves; None where none does."""
    moves = ((name, gigabits * 1e9 / 8) for name, gigabits in BASELINES)
    return next((each for each in moves if each[1] >= bytes_per_second), None)


def make_plan(settings: Settings, bucket: Bucket, ledger: Ledger | None) -> Plan:
    """Goes through the run's images, a page at a time in memory."""
    plan = Plan(Estimate(settings, ledger))
    for page in bucket.pages():
        plan.add(bucket.identified(page))
    return plan
