"""A governed account: somebody else's subnet, no open port, bounded roles, tags on everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.authorization import enable_iam_authentication

from sandbox.aws.server import Sandbox
from sandbox.terraform import Terraform, new_ssh_key
from tests.infra.session import asked_for, session_to

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

PROJECT, BUCKET = "governed", "governed-photos"
ACCOUNT, ANOTHER = "123456789012", "210987654321"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


@pytest.fixture(scope="module")
def governed(
    sandbox: Sandbox,
    applying: Future[Any] | None,
    needs_terraform: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Terraform]:
    """The stack in the default network of the account, as that of somebody else."""
    if applying:
        applying.result()
    folder = tmp_path_factory.mktemp("governed")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    boundary = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    sandbox.client("iam").create_policy(PolicyName="boundary", PolicyDocument=boundary)
    subnet = sandbox.client("ec2").describe_subnets()["Subnets"][0]
    variables = {
        "project": PROJECT,
        "bucket": sandbox.create_bucket(BUCKET),
        "prefix": "cars/",
        "public_key": new_ssh_key(folder)[1],
        "subnet_id": subnet["SubnetId"],
        "ssh_address": "session",
        "permissions_boundary_arn": BOUNDARY,
        "extra_tags": {"CostCentre": "4711"},
        "expected_bucket_owner": ACCOUNT,
        "final_snapshots": False,
    }
    networks = sandbox.client("ec2").describe_vpcs()["Vpcs"]
    terraform = Terraform(folder / "terraform", sandbox.environment(), variables)
    terraform.apply()
    assert sandbox.client("ec2").describe_vpcs()["Vpcs"] == networks
    yield terraform
    terraform.destroy()
    sandbox.client("iam").delete_policy(PolicyArn=BOUNDARY)
    sandbox.client("s3").delete_bucket(Bucket=BUCKET)


def instances(sandbox: Sandbox) -> list[dict[str, Any]]:
    mine = [
        {"Name": "tag:Project", "Values": [PROJECT]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    groups = sandbox.client("ec2").describe_instances(Filters=mine)["Reservations"]
    return [instance for group in groups for instance in group["Instances"]]


def test_a_second_plan_is_empty(governed: Terraform) -> None:
    assert governed.pending_changes() == ""


def test_the_machines_are_in_the_subnet_and_nothing_comes_in(
    governed: Terraform, sandbox: Sandbox
) -> None:
    workers = instances(sandbox)
    assert len(workers) == 2
    for worker in workers:
        assert worker["SubnetId"] == governed.variables["subnet_id"]
        assert "PublicIpAddress" not in worker
        (group,) = sandbox.client("ec2").describe_security_groups(
            GroupIds=[worker["SecurityGroups"][0]["GroupId"]]
        )["SecurityGroups"]
        assert group["IpPermissions"] == []


def test_everything_carries_the_tags_that_are_asked_for(
    governed: Terraform, sandbox: Sandbox
) -> None:
    disks = {
        mapping["Ebs"]["VolumeId"]
        for instance in instances(sandbox)
        for mapping in instance["BlockDeviceMappings"]
    }
    volumes = sandbox.client("ec2").describe_volumes(VolumeIds=sorted(disks))["Volumes"]
    assert len(volumes) == 4
    for tagged in [*instances(sandbox), *volumes]:
        assert {"Key": "CostCentre", "Value": "4711"} in tagged["Tags"]
        assert {"Key": "Project", "Value": PROJECT} in tagged["Tags"]


def test_the_roles_are_bounded_and_let_session_manager_in(
    governed: Terraform, sandbox: Sandbox
) -> None:
    iam = sandbox.client("iam")
    for kind in ("label", "text"):
        name = f"{PROJECT}-{kind}-us-east-1"
        role = iam.get_role(RoleName=name)["Role"]
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
        policy = iam.get_role_policy(RoleName=name, PolicyName="worker")["PolicyDocument"]
        statements = {statement["Sid"]: statement for statement in policy["Statement"]}
        assert sorted(statements["SessionManager"]["Action"]) == [
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ]


def test_the_commands_in_the_outputs_go_through_session_manager(
    governed: Terraform, tmp_path: Path
) -> None:
    outputs = governed.outputs()
    command, instance = outputs["log_commands"]["text-1"], outputs["instances"]["text-1"]["id"]
    assert asked_for(tmp_path, ["sh", "-c", command]) == session_to(instance)


def test_a_bucket_of_another_account_is_not_read(governed: Terraform, sandbox: Sandbox) -> None:
    name = f"{PROJECT}-label-us-east-1"
    iam = sandbox.client("iam")
    role = iam.get_role(RoleName=name)["Role"]
    keys = sandbox.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    s3 = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=sandbox.endpoint,
        aws_access_key_id=keys["Credentials"]["AccessKeyId"],
        aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
        aws_session_token=keys["Credentials"]["SessionToken"],
    )
    policy = iam.get_role_policy(RoleName=name, PolicyName="worker")["PolicyDocument"]
    for_another = json.dumps(policy).replace(f'"{ACCOUNT}"', f'"{ANOTHER}"')
    with enable_iam_authentication():
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix="cars/")["KeyCount"] == 0
    iam.put_role_policy(RoleName=name, PolicyName="worker", PolicyDocument=for_another)
    try:
        with enable_iam_authentication(), pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=BUCKET, Prefix="cars/")
    finally:
        iam.put_role_policy(RoleName=name, PolicyName="worker", PolicyDocument=json.dumps(policy))
