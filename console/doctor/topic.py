"""The topic that is told how a run ends, where there is one."""

from __future__ import annotations

from console.doctor.finding import wrong
from console.doctor.tools import Tools

# a topic that is no FIFO refuses it, so whoever is refused for that may publish, and it is there
REQUEST = {"MessageDeduplicationId": "none", "Message": "cartext doctor: may this be published?"}
REFUSED = {"InvalidParameter", "InvalidParameterException"}


def topic(tools: Tools) -> str:
    """Whether it may be told; it is not, for no request is right."""
    arn, sns = str(tools.settings.topic_arn), tools.clients["sns"]
    region = sns.meta.region_name
    if arn.split(":")[3] != region:
        raise wrong(f"{arn} is not in {region}", "correct CARTEXT_TOPIC_ARN, or AWS_REGION")
    tools.prove("SNS Publish", REFUSED, sns.publish, TopicArn=arn, **REQUEST)
    return f"{arn}, not refused: Publish; only a message that comes shows who listens"
