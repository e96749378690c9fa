"""The policy of docs/apply-policy.json by enforcement: who has it can apply, plan and destroy.

IAM judges every call of the provider. Of S3, SQS and SNS the sandbox knows which resource is asked
for; of the other services the actions are proven here, and not the resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.core.authorization import enable_iam_authentication

from sandbox import ROOT
from sandbox.aws.server import Sandbox
from sandbox.terraform import Terraform, TerraformError, new_ssh_key
from tests.infra.conftest import SSH_CIDR

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]

POLICY = json.loads((ROOT / "docs/apply-policy.json").read_text())
BUCKETS = ("my-photos", "other-photos")
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
DENIED = re.compile(r"not authorized to perform: ([a-z0-9]+:\w+)")
DENIED_BY_S3 = re.compile(r"S3: (\w+), .{0,200}?api error AccessDenied")
# what IAM calls an operation of S3
PERMISSIONS = {"ListObjectsV2": "s3:ListBucket"}


def actions_of(statement: dict[str, Any]) -> set[str]:
    action = statement["Action"]
    return {action} if isinstance(action, str) else set(action)


# CloudWatch asks for it in the person's name, at the account's first alarm that stops a machine;
# moto does not
OF_ALARMS = {"iam:CreateServiceLinkedRole"}
ACTIONS = set().union(*map(actions_of, POLICY["Statement"]))


@dataclass
class Person:
    """Somebody who applies, with the policy or with a part of it, and no other right."""

    sandbox: Sandbox
    terraform: Terraform

    def may(self, actions: Collection[str]) -> None:
        """Gives these actions of the policy, each for the resources that the policy says."""
        statements = [
            {**statement, "Action": sorted(kept)}
            for statement in POLICY["Statement"]
            if (kept := actions_of(statement).intersection(actions))
        ]
        # who has another bucket puts it in; this person has had two
        document = json.dumps({**POLICY, "Statement": statements}).replace("my-photos", "*-photos")
        self.sandbox.client("iam").put_role_policy(
            RoleName="person", PolicyName="apply", PolicyDocument=document
        )

    def life(self) -> Iterator[Callable[[], object]]:
        """Everything that is done with a deployment, from its first apply to its end."""
        yield self.terraform.apply
        yield self.planned_nothing
        yield lambda: self.terraform.apply(data_volume_size_gib=20, ledger_protection=True)
        yield lambda: self.terraform.apply(ledger_protection=False)
        yield lambda: self.terraform.apply(
            bucket="other-photos",
            permissions_boundary_arn="arn:aws:iam::123456789012:policy/boundary",
            ssh_cidr="198.51.100.7/32",
            text_instance_type="t3.medium",
            root_volume_size_gib=20,
            extra_tags={},
        )
        yield self.terraform.destroy

    def planned_nothing(self) -> None:
        assert self.terraform.pending_changes() == ""


@pytest.fixture
def person(
    sandbox: Sandbox, applying: Future[Any] | None, needs_terraform: None, tmp_path: Path
) -> Iterator[Person]:
    """A deployment with all that Terraform can make, and the role that applies it."""
    if applying:
        applying.result()  # the administrator, whom IAM does not know, has done with the account
    iam = sandbox.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role = iam.create_role(RoleName="person", AssumeRolePolicyDocument=trust)["Role"]
    keys = sandbox.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    credentials = {
        "AWS_ACCESS_KEY_ID": keys["Credentials"]["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["Credentials"]["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["Credentials"]["SessionToken"],
    }
    variables = {
        "project": "cartext-of-a-person",
        "bucket": "my-photos",
        "ssh_cidr": SSH_CIDR,
        "public_key": new_ssh_key(tmp_path)[1],
        "alarm_email": "me@example.org",
        "label_workers": 2,
        "extra_tags": {"Team": "of the photos"},
        "ledger_protection": False,  # a table that is half made must be deleted
    }
    for bucket in BUCKETS:
        sandbox.create_bucket(bucket)
    environment = sandbox.environment(**credentials)
    yield Person(sandbox, Terraform(tmp_path / "terraform", environment, variables))
    for policy in iam.list_role_policies(RoleName="person")["PolicyNames"]:
        iam.delete_role_policy(RoleName="person", PolicyName=policy)
    iam.delete_role(RoleName="person")
    for bucket in BUCKETS:
        sandbox.client("s3").delete_bucket(Bucket=bucket)


def test_the_policy_lacks_nothing(person: Person) -> None:
    person.may(ACTIONS)
    with enable_iam_authentication():
        for step in person.life():
            step()


def test_the_policy_has_nothing_to_spare(person: Person) -> None:
    """Begins with no permission and adds what Terraform fails for, until it fails for nothing.

    What it has failed for it cannot do without, so that at the end the policy must be all given.
    """
    given: set[str] = set()
    for step in person.life():
        while denied := refused(step):
            print(len(given), sorted(denied), flush=True)  # noqa: T201
            assert denied <= ACTIONS - given
            given |= denied
            person.may(given)
    assert ACTIONS - given == OF_ALARMS


def refused(step: Callable[[], object]) -> set[str]:
    """The actions for whose lack a step fails; none when it does not fail."""
    try:
        with enable_iam_authentication():
            step()
    except TerraformError as error:
        said = " ".join(str(error).split())  # some errors are wrapped
        by_s3 = {PERMISSIONS[call] for call in DENIED_BY_S3.findall(said)}
        denied = by_s3 | set(DENIED.findall(said))
        assert denied, said
        return denied
    return set()
