"""The account: who is logged in, the clock, the region, the quotas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NotRequired

from typing_extensions import TypedDict

from console.doctor.finding import unknown, wrong
from console.doctor.tools import Tools
from console.words import duration_text
from workers.aws.answers import STRICT, Text, reader

# AWS refuses what was signed more than five minutes ago
MOST_SKEW = timedelta(minutes=4)


@STRICT
class Caller(TypedDict):
    """STS GetCallerIdentity."""

    Account: Text
    Arn: Text


@STRICT
class QuotaAnswer(TypedDict):
    """Service Quotas: one quota."""

    QuotaName: Text
    Value: float


@STRICT
class QuotasAnswer(TypedDict):
    """Service Quotas ListServiceQuotas: one page."""

    Quotas: list[QuotaAnswer]
    NextToken: NotRequired[Text]


_caller, _quotas = reader(Caller), reader(QuotasAnswer)


def login(tools: Tools) -> str:
    """Who is logged in."""
    client = tools.clients["sts"]
    who = tools.calls.call("STS GetCallerIdentity", client.get_caller_identity, _caller)
    tools.account = who["Account"]
    return f"{who['Arn']} in the account {who['Account']}"


def region(tools: Tools) -> str:
    """The region; that it has Rekognition is known from its client."""
    return f"{tools.clients['s3'].meta.region_name}, and Rekognition is there"


def clock(tools: Tools) -> str:
    """The clock beside the date of any of AWS's answers."""
    ahead = tools.clock.ahead
    if ahead is None:
        raise unknown("no answer of AWS has come, so that there is nothing to compare it with")
    off = duration_text(abs(ahead.total_seconds()))
    if abs(ahead) > MOST_SKEW:
        way = "ahead of" if ahead > timedelta() else "behind"
        raise wrong(
            f"this machine's clock is {off} {way} AWS's",
            "switch on time synchronisation (chrony, systemd-timesyncd)",
        )
    return f"{off} off AWS's"


def quotas(tools: Tools) -> str:
    """The account's own quotas beside the setting."""
    settings = tools.settings
    operations = ["DetectLabels"] * settings.labels + ["DetectText"] * settings.reads
    every = _all_quotas(tools)
    found = {operation: _quota_of(operation, every) for operation in operations}
    for operation, quota in found.items():
        if quota is None:
            raise unknown(f"Service Quotas names none for {operation}", "look there by hand")
        if quota < settings.quota:
            raise wrong(
                f"{operation} is allowed {quota:g} calls a second, CARTEXT_QUOTA is "
                f"{settings.quota:g}",
                f"set CARTEXT_QUOTA={quota:g} (terraform: quota), or have the quota raised",
            )
    told = ", ".join(f"{operation} {quota:g}" for operation, quota in found.items())
    return f"{told} calls a second; CARTEXT_QUOTA is {settings.quota:g}"


def _all_quotas(tools: Tools) -> list[QuotaAnswer]:
    client = tools.clients["service-quotas"]
    quotas: list[QuotaAnswer] = []
    request: dict[str, Any] = {"ServiceCode": "rekognition"}
    while True:
        page = tools.calls.call(
            "Service Quotas ListServiceQuotas",
            lambda: client.list_service_quotas(**request),
            _quotas,
        )
        quotas += page["Quotas"]
        if "NextToken" not in page:
            return quotas
        request["NextToken"] = page["NextToken"]


def _quota_of(operation: str, quotas: list[QuotaAnswer]) -> float | None:
    """Of several that name the operation the largest: the others are about a part of it."""
    return max((q["Value"] for q in quotas if operation in q["QuotaName"].split()), default=None)
