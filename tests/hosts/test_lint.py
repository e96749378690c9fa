"""The playbooks parse, and nothing is hidden from `make lint`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
PLAYBOOKS = sorted(path.name for path in (ROOT / "ansible").glob("*.yml"))


def test_syntax() -> None:
    assert PLAYBOOKS
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"),
        "ANSIBLE_INVENTORY": os.devnull,  # the real one asks AWS
    }
    done = subprocess.run(
        [TOOLS / "ansible-playbook", "--syntax-check", *PLAYBOOKS],
        cwd=ROOT / "ansible",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_old_ansible_can_read_far_enough_to_be_told_so() -> None:
    """All playbooks are read before the first task says it; 2.14, of Debian 12, lacks this name."""
    files = [*(ROOT / "ansible").rglob("*.yml")]
    assert files
    assert [file.name for file in files if "systemd_service" in file.read_text()] == []


def test_nothing_is_skipped() -> None:
    text = "\n".join(
        file.read_text()
        for folder in ("ansible", "inventory")
        for file in (ROOT / folder).rglob("*.y*ml")
    )
    assert "noqa" not in text
    assert "skip_list" not in text
    assert "host_key_checking" not in text
