"""Machines that have stopped themselves: the playbooks start them and find where they are now."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import ROOT
from sandbox.aws.server import REGION, Sandbox
from tests.infra.conftest import write_state

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PROJECT = "cartext-at-rest"
NAMES = [f"{PROJECT}-{role}-1" for role in ("label", "text")]
# a host of which nothing is asked but what the playbook asks by itself
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {folder}/asked
printf 'ActiveState=inactive\\nInvocationID=\\nExecMainCode=0\\nExecMainStatus=0\\n'
"""
SHOW = """
- name: Where the machines are
  hosts: workers
  gather_facts: false
  tasks:
    - name: Say it
      ansible.builtin.debug:
        msg: "{{ inventory_hostname }} is at {{ ansible_host }}."
"""

pytestmark = pytest.mark.usefixtures("needs_terraform")


@pytest.fixture
def machines(sandbox: Sandbox) -> Iterator[list[str]]:
    """Ids of a label worker's and a text worker's instance, which are stopped."""
    ec2 = sandbox.client("ec2")
    ids = []
    for name in NAMES:
        tags = {"Project": PROJECT, "Role": name.split("-")[-2], "Name": name}
        made = ec2.run_instances(
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": True}],
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
        )
        ids.append(made["Instances"][0]["InstanceId"])
    ec2.stop_instances(InstanceIds=ids)
    yield ids
    ec2.terminate_instances(InstanceIds=ids)


def look(sandbox: Sandbox, ids: list[str]) -> list[dict[str, Any]]:
    """What EC2 says of them."""
    groups = sandbox.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    return [instance for group in groups for instance in group["Instances"]]


def play(sandbox: Sandbox, folder: Path) -> str:
    """What the playbooks' first plays say, and after them where each machine is."""
    instances = {name.removeprefix(f"{PROJECT}-"): {"name": name, "id": name} for name in NAMES}
    named = {"region": REGION, "project": PROJECT, "ssh_address": "public", "ssh_proxy": ""}
    write_state(folder, {**named, "instances": instances})
    (folder / "show.yml").write_text(SHOW)
    systemctl = folder / "bin/systemctl"
    systemctl.parent.mkdir(exist_ok=True)
    systemctl.write_text(SYSTEMCTL.format(folder=folder))
    systemctl.chmod(0o755)
    environment = sandbox.environment(CARTEXT_PROJECT=PROJECT, CARTEXT_TERRAFORM_DIR=str(folder))
    done = subprocess.run(
        [
            *(ANSIBLE_PLAYBOOK, "deployment.yml", folder / "show.yml"),
            *("--extra-vars", "ansible_connection=local ansible_become=false"),
            *("--extra-vars", f"ansible_python_interpreter={sys.executable}"),
        ],
        cwd=ROOT / "ansible",
        env={**environment, "PATH": f"{systemctl.parent}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_are_started_and_found_at_their_new_addresses(
    sandbox: Sandbox, machines: list[str], tmp_path: Path
) -> None:
    said = play(sandbox, tmp_path)
    now = look(sandbox, machines)
    assert {machine["State"]["Name"] for machine in now} == {"running"}
    for name, machine in zip(NAMES, now, strict=True):
        assert f"{name} is at {machine['PublicIpAddress']}." in said
    asked = (tmp_path / "asked").read_text()
    # only after the boot is it known whether a worker goes on with its run
    assert asked.count("is-system-running --wait") == len(NAMES)
    assert asked.index("is-system-running") < asked.index("show cartext-")


def test_those_that_run_are_left_alone(
    sandbox: Sandbox, machines: list[str], tmp_path: Path
) -> None:
    sandbox.client("ec2").start_instances(InstanceIds=machines)
    said = play(sandbox, tmp_path)
    for name, machine in zip(NAMES, look(sandbox, machines), strict=True):
        assert f"{name} is at {machine['PublicIpAddress']}." in said
    assert not (tmp_path / "asked").exists()
