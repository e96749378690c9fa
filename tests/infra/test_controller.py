"""What is missing for a playbook is said by its last line, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.conftest import write_state

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
OUTPUTS = {"region": "eu-west-1", "project": "cartext", "instances": {}}

pytestmark = pytest.mark.usefixtures("needs_terraform")


def last_line(state: Path, **more: str) -> str:
    """What a run says last with this folder as Terraform's, and nobody logged in."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CARTEXT_", "TF_"))}
    nobody = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CARTEXT_TERRAFORM_DIR": str(state),
    }
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "run.yml"],
        cwd=ROOT / "ansible",
        env={**own, **nobody, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    """A folder with the state of something that was applied in eu-west-1."""
    write_state(tmp_path, OUTPUTS)
    return tmp_path


def test_what_was_not_applied_and_what_it_names_moves_no_cursor(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2Jmine"
    folder.mkdir()
    todo = "has no outputs: run `terraform init` and `terraform apply` there first"
    assert last_line(folder).startswith(f"{tmp_path}/\\x1b[2Jmine {todo}")


@pytest.mark.parametrize(
    ("region", "begins"), [("", "no AWS_REGION is set"), ("us-west-2", "AWS_REGION is us-west-2")]
)
def test_another_region(applied: Path, region: str, begins: str) -> None:
    said = last_line(applied, AWS_REGION=region)
    assert said.startswith(begins)
    assert said.endswith("export AWS_REGION=eu-west-1")


def test_nobody_is_logged_in(applied: Path) -> None:
    said = last_line(applied, AWS_REGION="eu-west-1")
    assert said.startswith("AWS does not let us in: log in")
    assert "Unable to locate credentials" in said
