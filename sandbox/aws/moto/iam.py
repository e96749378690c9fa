"""IAM, where it is enforced: it judges the workers' calls as AWS does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
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

# Nor has a transaction, or a batch of statements: it asks for those of what is in it.
TRANSACTED = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}

# What else a request asks for that makes something with tags; in EC2 it is always the same.
TAGGING = {
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
    "iam:CreateRole": "iam:TagRole",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
}

# Conditions that are judged here; moto takes these as met, outside of trust policies.
CONDITIONS = ("aws:ResourceAccount", "kms:ViaService", "s3:prefix")


class KeyLookup(S3IAMRequest):
    """Asks whether the caller may know that a key is not there: to AWS, that is listing it."""

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "s3:ListBucket"
        self.key = unquote(urlsplit(self._path).path.split("/", 2)[-1])


class KeyUse(S3IAMRequest):
    """Asks whether the caller may decrypt with a KMS key by way of S3."""

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "kms:Decrypt"


_known: ContextVar[dict[str, str]] = ContextVar("_known", default={})  # noqa: B039 - never changed


@replaces(IAMRequestBase, "check_action_permitted")
def _judge_as_aws_does(request: IAMRequestBase, check: Before, resource: str) -> None:
    # A permission is looked for by the operation's name, also where AWS knows none of that name;
    # and the conditions below see nothing of the request.
    request._action = request._action.replace("monitoring:", "cloudwatch:")
    # of SNS it is not worked out which topic is asked for
    if request._service == "sns":
        resource = request._data.get("TopicArn", [resource])[0]
    token = _known.set(_known_of(request))
    try:
        for permission in [*_asked_for(request), *_asked_for_beside(request)]:
            request._action = permission
            check(request, resource)
    finally:
        _known.reset(token)


def _known_of(request: IAMRequestBase) -> dict[str, str]:
    """What conditions may ask about a request. There is one account here, whose everything is."""
    known = {"aws:ResourceAccount": request.account_id}
    if isinstance(request, KeyUse):
        known["kms:ViaService"] = f"s3.{request._region}.amazonaws.com"
    elif isinstance(request, KeyLookup):
        known["s3:prefix"] = request.key
    elif isinstance(request, S3IAMRequest):
        query = parse_qs(urlsplit(request._path).query, keep_blank_values=True)
        known |= {"s3:prefix": query["prefix"][0]} if "prefix" in query else {}
    return known


def _asked_for(request: IAMRequestBase) -> Iterable[str]:
    """The operation's permissions, by the names that IAM knows."""
    if request._action == "dynamodb:BatchExecuteStatement":
        said = [each["Statement"] for each in json.loads(request._body)["Statements"]]
        return {f"dynamodb:PartiQL{statement.split()[0].title()}" for statement in said}
    if request._action != "dynamodb:TransactWriteItems":
        return [PERMISSIONS.get(request._action, request._action)]
    actions = json.loads(request._body)["TransactItems"]
    return {TRANSACTED[kind] for action in actions for kind in action}


def _asked_for_beside(request: IAMRequestBase) -> Iterator[str]:
    """The permissions that AWS wants beside that of the operation, and moto does not."""
    body = str(request._body or request._data)
    if re.search(r"[Tt]ag(s|Specification)\W", body):
        if request._action in TAGGING:
            yield TAGGING[request._action]
        elif request._service == "ec2" and "TagSpecification" in body:
            yield "ec2:CreateTags"
    if request._action == "iam:AddRoleToInstanceProfile" or "IamInstanceProfile" in body:
        yield "iam:PassRole"


@replaces(IAMPolicyStatement, "_check_element_matches")
def _know_that_resources_are_unknown(
    statement: IAMPolicyStatement, matches: Before, element: str, value: str
) -> Any:
    # Of most services it is not worked out which resource is asked for, and that is taken for "*",
    # which no statement allows that names one.
    unknown = element == "Resource" and value == "*" and statement._statement["Effect"] == "Allow"
    return unknown or matches(statement, element, value)


@replaces(IAMPolicyStatement, "is_action_permitted")
def _heed_conditions(
    statement: IAMPolicyStatement, judge: Before, *args: Any, **kwargs: Any
) -> Any:
    # They are taken as met outside of trust policies, so that a permission to list one prefix would
    # be one to list the bucket, and one to decrypt for S3 one to decrypt.
    known = _known.get()
    for keys in statement._statement.get("Condition", {}).values():
        for name in set(keys) & set(CONDITIONS):
            if name not in known or not statement._match(keys[name], known[name]):
                return PermissionResult.NEUTRAL
    return judge(statement, *args, **kwargs)
