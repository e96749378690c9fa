"""The HCL itself: refusals, profiles, policy rules; and how what moto lacks shows.

That it is valid, and in Terraform's own form, `make lint` says.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.aws.server import Sandbox
from sandbox.terraform import (
    ROOT,
    SOURCE,
    Terraform,
    TerraformError,
    find_mirror,
    provider_environment,
)
from tests.infra.conftest import mirror_or_skip

ANY = {"bucket": "photos", "ssh_cidr": "203.0.113.7/32", "key_name": "mine"}
CHECKOV = ROOT / ".venv-policy/bin/checkov"


@pytest.fixture(scope="module")
def copy(
    needs_terraform: None, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Terraform:
    """An initialised working copy, for commands that reach no account."""
    return Terraform(tmp_path_factory.mktemp("copy"), sandbox.environment(), {})


def test_refusals_counts_and_tags_against_a_mocked_provider(copy: Terraform) -> None:
    (copy.folder / "sandbox.auto.tfvars.json").unlink(missing_ok=True)
    assert "0 failed" in copy.run("test")


def test_the_learner_lab_profile_creates_no_role(copy: Terraform) -> None:
    said = copy.run(
        "test", "-test-directory=tests/profiles", "-var-file=profiles/learner-lab.tfvars"
    )
    assert "1 passed, 0 failed" in said


def test_init_changes_nothing_in_the_committed_lock(copy: Terraform) -> None:
    mirror_or_skip()
    assert (copy.folder / ".terraform.lock.hcl").read_text() == (
        SOURCE / ".terraform.lock.hcl"
    ).read_text()


def test_what_moto_lacks_fails_in_seconds_and_by_name(copy: Terraform) -> None:
    lacking = copy.folder / "lacking.tf"
    lacking.write_text('data "aws_ec2_serial_console_access" "this" {}')
    copy.variables = ANY
    start = time.monotonic()
    try:
        with pytest.raises(TerraformError, match=r"GetSerialConsoleAccessStatus.*NotImplemented"):
            copy.run("plan", "-target=data.aws_ec2_serial_console_access.this")
    finally:
        lacking.unlink()
        copy.variables = {}
    assert time.monotonic() - start < 30


def test_the_state_is_shared_and_locked_as_the_example_says(
    needs_terraform: None, sandbox: Sandbox, tmp_path: Path
) -> None:
    state, key = sandbox.create_bucket("my-terraform-state"), "cartext/terraform.tfstate"
    person = Terraform(tmp_path, sandbox.environment(), ANY)
    (tmp_path / "backend.tf").write_text((SOURCE / "backend.tf.example").read_text())
    person.run("init", "-backend-config=use_path_style=true")
    person.run("apply", "-auto-approve", "-target=terraform_data.zone")
    s3 = sandbox.client("s3")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=state)["Contents"]] == [key]
    s3.put_object(Bucket=state, Key=f"{key}.tflock", Body=b'{"Who": "somebody@else"}')
    with pytest.raises(TerraformError, match=r"Error acquiring the state lock(.|\n)*somebody@else"):
        person.run("plan", "-target=terraform_data.zone")


def test_a_bucket_of_another_region_is_said_where_the_person_looks(
    copy: Terraform, sandbox: Sandbox
) -> None:
    abroad = {"LocationConstraint": "eu-west-1"}
    sandbox.client("s3").create_bucket(Bucket="abroad", CreateBucketConfiguration=abroad)
    copy.variables = {**ANY, "bucket": "abroad"}
    try:
        with pytest.raises(TerraformError) as refused:
            copy.run("plan", "-target=data.aws_s3_objects.images")
    finally:
        copy.variables = {}
    assert "PermanentRedirect" in str(refused.value)
    assert "the bucket lies in another region; set `region` to its own" in str(refused.value)


def test_policy_rules_hold() -> None:
    if not CHECKOV.exists():
        pytest.skip("checkov is not in .venv-policy, which `make test` fills")
    done = subprocess.run(
        [
            *(CHECKOV, "--directory", SOURCE, "--framework", "terraform", "--compact", "--quiet"),
            # nothing over the network
            *("--skip-download", "--skip-results-upload"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder that is searched for a mirror; the configuration goes beside it."""
    monkeypatch.setattr("sandbox.terraform.PLUGIN_FOLDERS", ())
    monkeypatch.setattr("sandbox.terraform.SEARCHED_FOLDER", tmp_path / "searched")
    monkeypatch.setattr("sandbox.terraform.CACHE", tmp_path / "cache")
    return tmp_path / "searched"


@pytest.mark.parametrize("packed", [True, False])
def test_a_mirror_is_found_some_levels_down(searched: Path, packed: bool) -> None:
    mirror = searched / "tools/plugins"
    lay_mirror(mirror, "5.100.0", packed)
    assert find_mirror() == mirror
    config = Path(provider_environment()["TF_CLI_CONFIG_FILE"])
    assert json.dumps(str(mirror)) in config.read_text()


def test_a_mirror_of_another_version_is_none(searched: Path) -> None:
    lay_mirror(searched, "5.99.0", packed=False)
    assert find_mirror() is None


def test_without_a_mirror_the_registry_is_asked_and_a_dangling_variable_ignored(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(searched / "missing"))
    assert list(provider_environment()) == ["TF_PLUGIN_CACHE_DIR"]


def lay_mirror(folder: Path, version: str, packed: bool) -> None:
    """Lays a mirror out as `terraform providers mirror` (packed) or by hand does."""
    provider = folder / "registry.terraform.io/hashicorp/aws"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    target = f"{platform.system().lower()}_{machine.lower()}"
    if packed:
        provider.mkdir(parents=True)
        (provider / f"terraform-provider-aws_{version}_{target}.zip").touch()
    else:
        (provider / version / target).mkdir(parents=True)
