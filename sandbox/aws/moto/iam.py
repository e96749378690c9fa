"""IAM, where it is enforced: it judges the workers' calls as AWS does."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.iam.access_control import (
    IAMPolicyStatement,
    IAMRequestBase,
    PermissionResult,
    S3IAMRequest,
)

from sandbox.aws.moto.patch import Before, replaces

# What IAM calls the permission, where that is not the operation's name: a batch has none of its
# own, and HeadBucket is a listing of nothing.
PERMISSIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


class KeyLookup(S3IAMRequest):
    """Asks whether the caller may know that a key is not there: to AWS, that is listing it."""

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "s3:ListBucket"
        self.key = unquote(urlsplit(self._path).path.split("/", 2)[-1])


_asked_prefix: ContextVar[str | None] = ContextVar("_asked_prefix", default=None)


@replaces(IAMRequestBase, "check_action_permitted")
def _judge_by_the_right_permission(request: IAMRequestBase, check: Before, resource: str) -> None:
    # A permission is looked for by the operation's name, also where AWS knows none of that name.
    request._action = PERMISSIONS.get(request._action, request._action)
    check(request, resource)


@replaces(S3IAMRequest, "check_action_permitted")
def _remember_the_prefix(request: S3IAMRequest, check: Before, resource: str) -> None:
    # For the condition below, which sees nothing of the request.
    query = parse_qs(urlsplit(request._path).query, keep_blank_values=True)
    asked = request.key if isinstance(request, KeyLookup) else query.get("prefix", [None])[0]
    token = _asked_prefix.set(asked)
    try:
        check(request, resource)
    finally:
        _asked_prefix.reset(token)


@replaces(IAMPolicyStatement, "is_action_permitted")
def _heed_prefix_conditions(
    statement: IAMPolicyStatement, judge: Before, *args: Any, **kwargs: Any
) -> Any:
    # Conditions are taken as met outside of trust policies, so that a permission to list one prefix
    # would be one to list the bucket.
    for operator, keys in statement._statement.get("Condition", {}).items():
        if operator.startswith("StringLike") and "s3:prefix" in keys:
            asked = _asked_prefix.get()
            exempt = asked is None and operator.endswith("IfExists")
            if not exempt and (asked is None or not statement._match(keys["s3:prefix"], asked)):
                return PermissionResult.NEUTRAL
    return judge(statement, *args, **kwargs)
