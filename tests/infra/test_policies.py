"""The rendered policies, read by a linter: actions, resources and conditions that AWS knows."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sandbox.terraform import ROOT
from tests.infra.conftest import Stack

PARLIAMENT = ROOT / ".venv-policy/bin/parliament"


def policies(stack: Stack) -> Iterator[tuple[str, object]]:
    """What each role may do, what queues and topic let be done, as the account has them."""
    iam, sqs, sns = stack.client("iam"), stack.client("sqs"), stack.client("sns")
    for role in iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]:
        for policy in role["RolePolicyList"]:
            yield role["RoleName"], policy["PolicyDocument"]
    for url in sqs.list_queues()["QueueUrls"]:
        reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        yield url, json.loads(reply["Attributes"]["Policy"])
    for topic in sns.list_topics()["Topics"]:
        reply = sns.get_topic_attributes(TopicArn=topic["TopicArn"])
        yield topic["TopicArn"], json.loads(reply["Attributes"]["Policy"])


def complaints(policies: Mapping[str, object]) -> dict[str, set[str]]:
    """What the linter has against policies, by their names: the kinds of its findings."""
    if not PARLIAMENT.exists():
        pytest.skip("parliament is not in .venv-policy, which `make test` fills")
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{number}.json": name for number, name in enumerate(policies)}
        for file, name in files.items():
            (Path(folder) / file).write_text(json.dumps(policies[name]))
        done = subprocess.run(
            [PARLIAMENT, "--json", "--directory", folder],
            # it warns of its own imports
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert not done.stderr, done.stderr
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        finding = json.loads(line)
        name = files[Path(finding["location"]["filepath"]).name]
        found.setdefault(name, set()).add(finding["issue"])
    return found


def test_the_linter_has_nothing_against_them(stack: Stack) -> None:
    found = dict(policies(stack))
    assert len(found) == 5, "two roles, two queues and a topic"
    assert complaints(found) == {}


def test_the_linter_finds_what_aws_does_not_know() -> None:
    wrong = {
        "sqs:SendMessages": ("arn:aws:sqs:us-east-1:123456789012:index", "UNKNOWN_ACTION"),
        "s3:GetObject": ("arn:aws:s3:::photos", "RESOURCE_MISMATCH"),
        "rekognition:DetectText": ("arn:aws:s3:::photos/*", "RESOURCE_MISMATCH"),
    }
    found = complaints(
        {
            action: {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
            }
            for action, (resource, _) in wrong.items()
        }
    )
    assert found == {action: {issue} for action, (_, issue) in wrong.items()}
