"""SQS: a queue's policies."""

from __future__ import annotations

import json
from typing import Any

from moto.sqs.models import Queue

from sandbox.aws.moto.patch import Before, replaces

# RedriveAllowPolicy is taken and never shown.
Queue.BASE_ATTRIBUTES.append("RedriveAllowPolicy")
setattr(Queue, "redrive_allow_policy", None)  # noqa: B010 - moto's class does not know it


@replaces(Queue, "_set_attributes")
def _keep_the_policy(
    queue: Queue, set_attributes: Before, new: dict[str, Any], now: float | None = None
) -> None:
    # Policy is forgotten whenever another attribute is set.
    set_attributes(queue, {"Policy": getattr(queue, "policy", None), **new}, now)


@replaces(Queue, "attributes")
def _show_policies_as_aws_does(queue: Queue, attributes: Before) -> dict[str, Any]:
    # A policy that was taken away shows as an empty text; RedrivePolicy has blanks that AWS does
    # not write, and the provider compares texts.
    shown = attributes(queue)
    if queue.redrive_policy:
        shown["RedrivePolicy"] = json.dumps(queue.redrive_policy, separators=(",", ":"))
    return {name: value for name, value in shown.items() if value != ""}
