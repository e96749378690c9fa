"""Repairs to moto 5.2's IAM, so that where it is enforced it judges the workers' calls as AWS does.

Each fix is one function whose comment names the fault; where moto has none any more, drop its fix.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.iam.access_control import (
    IAMPolicyStatement,
    IAMRequestBase,
    PermissionResult,
    S3IAMRequest,
)
from moto.s3.exceptions import MissingKey
from moto.s3.responses import S3Response

# What IAM calls the permission, where that is not the operation's name: a batch has none of its
# own, and HeadBucket is a listing of nothing.
PERMISSIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


def install() -> None:
    """Puts all fixes in place; to be called once a process."""
    _judge_by_the_right_permission()
    _heed_prefix_conditions()
    _hide_missing_keys()


def _judge_by_the_right_permission() -> None:
    # A permission is looked for by the operation's name, also where AWS knows none of that name.
    check: Callable[..., None] = IAMRequestBase.check_action_permitted

    def check_permission(self: IAMRequestBase, resource: str) -> None:
        self._action = PERMISSIONS.get(self._action, self._action)
        check(self, resource)

    replace(IAMRequestBase, check_action_permitted=check_permission)


_asked_prefix: ContextVar[str | None] = ContextVar("_asked_prefix", default=None)


def _heed_prefix_conditions() -> None:
    # Conditions are taken as met outside of trust policies, so that a permission to list one prefix
    # would be one to list the bucket.
    check: Callable[..., None] = S3IAMRequest.check_action_permitted
    judge: Callable[..., PermissionResult] = IAMPolicyStatement.is_action_permitted

    def check_with_prefix(self: S3IAMRequest, resource: str) -> None:
        query = parse_qs(urlsplit(self._path).query, keep_blank_values=True)
        asked = self.key if isinstance(self, _KeyLookup) else query.get("prefix", [None])[0]
        token = _asked_prefix.set(asked)
        try:
            check(self, resource)
        finally:
            _asked_prefix.reset(token)

    def judge_with_prefix(self: IAMPolicyStatement, *args: Any, **kwargs: Any) -> PermissionResult:
        for operator, keys in self._statement.get("Condition", {}).items():
            if operator.startswith("StringLike") and "s3:prefix" in keys:
                asked = _asked_prefix.get()
                exempt = asked is None and operator.endswith("IfExists")
                if not exempt and (asked is None or not self._match(keys["s3:prefix"], asked)):
                    return PermissionResult.NEUTRAL
        return judge(self, *args, **kwargs)

    replace(S3IAMRequest, check_action_permitted=check_with_prefix)
    replace(IAMPolicyStatement, is_action_permitted=judge_with_prefix)


class _KeyLookup(S3IAMRequest):
    """Asks whether the caller may know that a key is not there: to AWS, that is listing it."""

    def __init__(self, **request: Any) -> None:
        super().__init__(**request)
        self._action = "s3:ListBucket"
        self.key = unquote(urlsplit(self._path).path.split("/", 2)[-1])


def _hide_missing_keys() -> None:
    # A missing key is a 404 to everybody; AWS answers 403 to those who may not list it.
    get_key: Callable[..., Any] = S3Response._get_key
    head: Callable[..., Any] = S3Response.head_object

    def check(self: S3Response, bucket: str) -> None:
        self._authenticate_and_authorize_action(_KeyLookup, f"arn:aws:s3:::{bucket}")

    def get_or_hide(self: S3Response, *args: Any, **kwargs: Any) -> Any:
        try:
            return get_key(self, *args, **kwargs)
        except MissingKey:
            check(self, self.bucket_name)
            raise

    def head_or_hide(self: S3Response, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
        answer = head(self, bucket_name, *args, **kwargs)
        if answer[0] == 404:
            check(self, bucket_name)
        return answer

    replace(S3Response, _get_key=get_or_hide, head_object=head_or_hide)


def replace(owner: type, **members: object) -> None:
    """Puts other members into a class of moto's."""
    for name, member in members.items():
        setattr(owner, name, member)
