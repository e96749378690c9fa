"""The playbooks by the book: ansible-lint's production profile, yamllint, the syntax check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
NO_HOSTS = Path(__file__).with_name("no_hosts.ini")
PLAYBOOKS = sorted(path.name for path in (ROOT / "ansible").glob("*.yml"))


def check(*command: str, folder: str = ".") -> None:
    environment = {
        **os.environ,
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"),
        "ANSIBLE_INVENTORY": str(NO_HOSTS),  # the real one asks AWS
    }
    done = subprocess.run(
        command,
        cwd=ROOT / folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_lint_production_profile() -> None:
    check("ansible-lint", "--offline", "--strict", "--profile=production", folder="ansible")


def test_yamllint() -> None:
    check("yamllint", "--strict", "--config-file=ansible/.yamllint", "ansible", "inventory")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_syntax(playbook: str) -> None:
    check("ansible-playbook", "--syntax-check", playbook, folder="ansible")


def test_nothing_is_skipped() -> None:
    text = "\n".join(
        file.read_text()
        for folder in ("ansible", "inventory")
        for file in (ROOT / folder).rglob("*.y*ml")
    )
    assert "noqa" not in text
    assert "skip_list" not in text
    assert "host_key_checking" not in text
