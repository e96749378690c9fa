"""`cartext plan`: how many images, how long, how many dollars, before anything is paid for."""

from __future__ import annotations

import json

from pydantic import Field

from console.plan.model import make_plan
from console.plan.render import as_dict, as_text
from console.services import ledger_if_any, open_bucket
from console.tell import tell
from workers.errors import OverBudgetError
from workers.images.bucket import Bucket
from workers.ledger import Ledger
from workers.settings import Settings


class PlanSettings(Settings):
    """Says what a run would still take: it lists the bucket, and looks for answers in the ledger.

    It asks for nothing that is paid for.

    example:
      cartext plan --bucket my-photos --quota 50 --budget-dollars 20
    """

    queue_url: str = Field("", description="not needed here")
    as_json: bool = Field(False, validation_alias="json", description="print JSON")
    tell: bool = Field(False, description="tell the topic, too, where the run is over its budget")


SETTINGS = PlanSettings


def run(settings: PlanSettings) -> None:
    """Prints the plan; raises OverBudgetError when the run may cost more than the budget."""
    bucket = open_bucket(settings)
    with ledger_if_any(settings) as ledger:
        show(settings, bucket, ledger)


def show(settings: PlanSettings, bucket: Bucket, ledger: Ledger | None) -> None:
    """Prints the plan of what is in the bucket, and raises OverBudgetError as `run` does."""
    bucket.check()
    plan = make_plan(settings, bucket, ledger)
    text = json.dumps(as_dict(plan), indent=2) if settings.as_json else as_text(plan, bucket.region)
    print(text)  # noqa: T201 - what the command is for
    if refusal := plan.estimate.refusal:
        refused = OverBudgetError(refusal)
        if settings.tell and settings.topic_arn:
            tell(settings, "plan", refused)
        raise refused
