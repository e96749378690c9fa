"""One stack, applied once to one sandbox, for all tests of this folder."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from sandbox.aws.server import Sandbox
from sandbox.terraform import Terraform, find_mirror, new_ssh_key, unusable

BUCKET, PREFIX = "photos", "cars/"
SSH_CIDR = "203.0.113.7/32"
KMS_KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@dataclass
class Stack:
    """The applied stack, and the account that it stands in."""

    sandbox: Sandbox
    terraform: Terraform
    public_key: str
    before: dict[str, list[str]]
    outputs: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def apply(self, *arguments: str, **variables: object) -> Self:
        """Applies, and keeps the new outputs and how long it took."""
        start = time.monotonic()
        self.terraform.apply(*arguments, **variables)
        self.seconds = time.monotonic() - start
        self.outputs = self.terraform.outputs()
        return self

    def planned(self, **variables: object) -> dict[str, str]:
        """What an apply with these would do, by what it would do it to: `created`, `updated` …"""
        given = (f"-var={name}={value}" for name, value in variables.items())
        plan = self.terraform.run("plan", *given)
        return dict(re.findall(r"^  # (.+?) (?:will|must) be (\w+)", plan, re.MULTILINE))

    def client(self, service: str) -> Any:
        return self.sandbox.client(service)

    def instance(self, name: str) -> dict[str, Any]:
        """What EC2 says about the worker `label-1`, `text-1` …"""
        reply = self.client("ec2").describe_instances(
            Filters=[
                {"Name": "tag:Name", "Values": [f"cartext-{name}"]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )
        (instance,) = [i for group in reply["Reservations"] for i in group["Instances"]]
        return dict(instance)


@pytest.fixture(scope="session")
def needs_terraform() -> None:
    """A skip with the reason, where this machine's Terraform does not do."""
    if reason := unusable():
        pytest.skip(reason)


# moto keeps its state in the process: a second sandbox, of a single test, would empty this one
@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="package", autouse=True)
def applying(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[Stack] | None]:
    """Begins to apply: mostly waiting, in which the tests that need no stack have their turn."""
    if not any("stack" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    request.getfixturevalue("needs_terraform")
    folder = tmp_path_factory.mktemp("stack")
    sandbox.create_bucket(BUCKET)
    before = inventory(sandbox)
    _, public_key = new_ssh_key(folder)
    variables = {
        "bucket": BUCKET,
        "prefix": PREFIX,
        "ssh_cidr": SSH_CIDR,
        "public_key": public_key,
        "alarm_email": "me@example.org",
        "kms_key_arn": KMS_KEY,
    }
    terraform = Terraform(folder / "terraform", sandbox.environment(), variables)
    stack = Stack(sandbox, terraform, public_key, before)
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(stack.apply)


@pytest.fixture(scope="package")
def stack(applying: Future[Stack]) -> Stack:
    """Everything that `terraform apply` makes, in a bucket's account."""
    return applying.result()


def inventory(sandbox: Sandbox) -> dict[str, list[str]]:
    """The names of everything in the account that a stack could have made, by kind."""
    ec2, iam, sns = sandbox.client("ec2"), sandbox.client("iam"), sandbox.client("sns")
    sqs, cloudwatch = sandbox.client("sqs"), sandbox.client("cloudwatch")
    instances = [
        instance
        for group in ec2.describe_instances()["Reservations"]
        for instance in group["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
    found = {
        "instances": [i["InstanceId"] for i in instances],
        "ledgers": sandbox.client("dynamodb").list_tables()["TableNames"],
        "volumes": [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
        "snapshots": [
            s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        ],
        "networks": [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]],
        "subnets": [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]],
        "groups": [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]],
        "tables": [t["RouteTableId"] for t in ec2.describe_route_tables()["RouteTables"]],
        "gateways": [
            g["InternetGatewayId"] for g in ec2.describe_internet_gateways()["InternetGateways"]
        ],
        "endpoints": [
            e["VpcEndpointId"]
            for e in ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if e["State"] != "deleted"
        ],
        "interfaces": [
            n["NetworkInterfaceId"] for n in ec2.describe_network_interfaces()["NetworkInterfaces"]
        ],
        "keys": [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        "roles": [r["RoleName"] for r in iam.list_roles()["Roles"]],
        "profiles": [
            p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]
        ],
        "policies": [p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]],
        "queues": sqs.list_queues().get("QueueUrls", []),
        "topics": [t["TopicArn"] for t in sns.list_topics()["Topics"]],
        "subscriptions": [s["Endpoint"] for s in sns.list_subscriptions()["Subscriptions"]],
        "alarms": [a["AlarmName"] for a in cloudwatch.describe_alarms()["MetricAlarms"]],
        "dashboards": [
            d["DashboardName"] for d in cloudwatch.list_dashboards()["DashboardEntries"]
        ],
    }
    return {kind: sorted(names) for kind, names in found.items()}


def write_state(folder: Path, outputs: dict[str, Any]) -> None:
    """Makes the state of something that was applied with these outputs, of strings and objects."""

    def kind(value: Any) -> Any:
        if isinstance(value, str):
            return "string"
        return ["object", {name: kind(part) for name, part in value.items()}]

    shown = {name: {"value": value, "type": kind(value)} for name, value in outputs.items()}
    state = {"version": 4, "terraform_version": "1.11.0", "serial": 1, "lineage": "x"}
    (folder / "terraform.tfstate").write_text(json.dumps({**state, "outputs": shown}))


def mirror_or_skip() -> None:
    """Skips a test that needs the provider where only the network could give it."""
    if not find_mirror():
        pytest.skip("no mirror with the locked provider on this machine")
