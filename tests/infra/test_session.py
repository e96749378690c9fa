"""How Ansible's ssh gets to a host: by itself, or through Session Manager."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import ROOT
from tests.infra.session import asked_for, session_to

HOST, INSTANCE = "cartext-label-1", "i-0123456789abcdef0"
PROXY = (
    "aws ssm start-session --region us-east-1 --target %h "
    "--document-name AWS-StartSSHSession --parameters portNumber=%p"
)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The inventory's variables, with a host that AWS need not be asked for."""
    (tmp_path / "group_vars").symlink_to(ROOT / "inventory/group_vars")
    hosts = tmp_path / "hosts.ini"
    hosts.write_text(f"[workers:children]\nlabel\n[label]\n{HOST} ec2_instance_id={INSTANCE}\n")
    return hosts


def ssh_options(inventory: Path, **outputs: str) -> list[str]:
    """The options that Ansible gives to ssh."""
    deployment = {"ssh_address": "session", "ssh_proxy": "", "instances": {}, **outputs}
    shown = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible"), HOST, "--inventory", inventory),
            *("--module-name", "ansible.builtin.debug", "--args", "var=ansible_ssh_common_args"),
            *("--extra-vars", json.dumps({"deployment": deployment})),
        ],
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return shlex.split(json.loads(shown.partition("=>")[2])["ansible_ssh_common_args"])


def ssh_settings(options: list[str]) -> dict[str, str]:
    """What ssh makes of them, by name."""
    settings = subprocess.run(
        ["ssh", "-G", *options, INSTANCE], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split(" ", 1) for line in settings.splitlines() if " " in line)


def test_session_manager_is_what_ssh_goes_through(inventory: Path, tmp_path: Path) -> None:
    options = ssh_options(inventory, ssh_proxy=PROXY)
    assert ssh_settings(options)["hostkeyalias"] == INSTANCE
    assert asked_for(tmp_path, ["ssh", *options, INSTANCE]) == session_to(INSTANCE)


def test_without_it_nothing_is_between(inventory: Path) -> None:
    settings = ssh_settings(ssh_options(inventory))
    assert "proxycommand" not in settings
    assert settings["hostkeyalias"] == INSTANCE
