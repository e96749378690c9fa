"""The mission on hosts: Terraform creates, Ansible provisions, the pair runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from sandbox import ROOT
from sandbox.aws.rekognition import eyes
from sandbox.hosts.hosts import Hosts
from sandbox.hosts.image import LOGIN_USER
from sandbox.hosts.network import refuse_used
from sandbox.hosts.shell import HostsError
from sandbox.terraform import Terraform

ANSIBLE = ROOT / "ansible"
RUNS = ROOT / "runs"
BUCKET = "cartext-images"
NETWORK = IPv4Network("10.20.0.0/16")


def apply(
    hosts: Hosts,
    images: Iterable[tuple[str, bytes]],
    network: IPv4Network = NETWORK,
    *,
    echo: bool = False,
    **variables: object,
) -> Terraform:
    """Applies the stack to the hosts' sandbox; returns when a guest answers for every instance.

    `images` are pairs of key and content for the bucket, `network` is the VPC's, and
    `variables` are Terraform's. Raises `TerraformError` or `HostsError`.
    """
    refuse_used(network)  # the guests would find out, a minute of Terraform later
    of_hosts = {
        "bucket": hosts.sandbox.create_bucket(BUCKET, images),
        "vpc_cidr": str(network),
        "public_key": hosts.key_file.with_suffix(".pub").read_text().strip(),
        "ssh_key_file": str(hosts.key_file),
        "ssh_cidr": f"{network[1]}/32",
        "ssh_address": "private",
        "login_user": LOGIN_USER,
        "data_volume_size_gib": 1,
    }
    environment = hosts.sandbox.environment()
    stack = Terraform(hosts.home / "terraform", environment, of_hosts | variables, echo=echo)
    stack.apply()
    eyes.warm_up()
    hosts.settle()
    return stack


def playbook_environment(hosts: Hosts) -> dict[str, str]:
    """The whole environment in which the playbooks work on these hosts."""
    return hosts.sandbox.environment(
        CARTEXT_TERRAFORM_DIR=str(hosts.home / "terraform"),
        CARTEXT_KNOWN_HOSTS=str(hosts.home / "known_hosts"),
        ANSIBLE_CONFIG=str(ANSIBLE / "ansible.cfg"),
    )


def play(
    environment: Mapping[str, str], playbook: str, *arguments: str, through: Sequence[str] = ()
) -> None:
    """Runs a playbook, seen by the person who waits; `through` is a command that starts it.

    Raises `HostsError` when it fails.
    """
    command = [*through, str(Path(sys.executable).with_name("ansible-playbook")), playbook]
    print(f"\n$ {shlex.join(['ansible-playbook', playbook, *arguments])}", flush=True)
    done = subprocess.run([*command, *arguments], cwd=ANSIBLE, env=environment, check=False)
    if done.returncode:
        raise HostsError(f"ansible-playbook {playbook} failed (status {done.returncode})")
