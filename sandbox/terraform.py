"""Terraform on one machine: the stack applied to a sandbox, the provider from an offline mirror.

`python -m sandbox.terraform` applies it to a fresh sandbox and leaves both up for a look around.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox import CACHE, ROOT
from sandbox.errors import SandboxError
from sandbox.exports import shell_lines
from sandbox.signals import leave_on_signals

SOURCE = ROOT / "terraform"

OLDEST = re.compile(r'required_version = "~> ([0-9.]+)"')
PROVIDER = Path("registry.terraform.io/hashicorp/aws")
LOCKED = re.compile(rf'"{PROVIDER}" \{{\s+version\s+= "([^"]+)"')

# where Terraform itself looks; then, some levels deep, where machines without a network keep things
PLUGIN_FOLDERS = (
    Path.home() / ".terraform.d/plugins",
    Path.home() / ".local/share/terraform/plugins",
    Path("/usr/local/share/terraform/plugins"),
    Path("/usr/share/terraform/plugins"),
)
SEARCHED_FOLDER, SEARCHED_LEVELS = Path("/opt"), 3

# With the provider's own 25 tries, an endpoint that is gone looks like a hang. It takes the number
# from its block and not from AWS_MAX_ATTEMPTS, hence the override, in the working copy alone.
FEW_TRIES = """\
provider "aws" {
  max_retries = 2
}
"""


class TerraformError(SandboxError):
    """Terraform ended with an error; the text is everything that it said."""


class Terraform:
    """A working copy of `terraform/` with its own state: nothing of a person's is read or touched.

    `environment` is the child processes' whole environment and says which AWS is meant. `variables`
    are written beside the copy, so that a plain `terraform -chdir=<folder> plan` asks for nothing.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        variables: Mapping[str, object],
        *,
        echo: bool = False,
    ) -> None:
        self.folder = folder
        self.variables = dict(variables)
        self.echo = echo
        own = {name: value for name, value in environment.items() if not name.startswith("TF_")}
        automation = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
        self.environment = {**own, **automation, **provider_environment()}
        _copy_sources(folder)
        self.run("init")

    def run(self, *arguments: str, statuses: tuple[int, ...] = (0,)) -> str:
        """Runs one command and returns what it printed.

        Raises TerraformError when it ends with another exit status than `statuses`.
        """
        variables = json.dumps(self.variables, indent=2)
        (self.folder / "sandbox.auto.tfvars.json").write_text(variables)
        command, *rest = arguments
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", command, "-no-color", *rest],
            env=self.environment,
            # it takes long, and a person wants to see its progress
            stdout=None if self.echo and command == "apply" else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode not in statuses:
            raise TerraformError(f"terraform {' '.join(arguments)}\n{done.stdout or ''}")
        return done.stdout or ""

    def apply(self, *arguments: str, **variables: object) -> None:
        """Applies; `variables` stay set from here on."""
        self.variables.update(variables)
        self.run("apply", "-auto-approve", *arguments)

    def destroy(self) -> None:
        """Destroys everything that this copy's state knows."""
        self.run("destroy", "-auto-approve")

    def pending_changes(self) -> str:
        """The plan that another apply would carry out; empty when there is nothing to do."""
        plan = self.run("plan", "-detailed-exitcode", statuses=(0, 2))
        return "" if "No changes." in plan else plan

    def outputs(self) -> dict[str, Any]:
        """The outputs' values by name."""
        outputs = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}


def unusable() -> str:
    """Why Terraform's code cannot be tried on this machine, as one sentence; empty where it can."""
    program = shutil.which("terraform")
    if not program:
        return "terraform is not installed"
    said = subprocess.run(
        [program, "version", "-json"],
        env={name: value for name, value in os.environ.items() if not name.startswith("TF_")},
        capture_output=True,
        text=True,
        check=False,
    )
    oldest = _found(OLDEST, SOURCE / "terraform.tf")
    try:
        version = str(json.loads(said.stdout)["terraform_version"])
    except (ValueError, KeyError):
        return f"{program} does not say its version: {(said.stderr or said.stdout).strip()}"
    if _numbers(version) < _numbers(oldest):
        return f"{program} is {version}, and {oldest} or newer is needed"
    return ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:2]]


def _found(pattern: re.Pattern[str], file: Path) -> str:
    found = pattern.search(file.read_text())
    if not found:
        raise TerraformError(f"{file} does not say {pattern.pattern}")
    return found[1]


def provider_environment() -> dict[str, str]:
    """Where `terraform init` finds the provider: a mirror on this machine, else the registry."""
    mirror = find_mirror()
    if mirror:
        return {"TF_CLI_CONFIG_FILE": str(_cli_config(mirror))}
    given = Path(os.environ.get("TF_CLI_CONFIG_FILE", ""))
    cache = CACHE / "terraform-plugins"
    cache.mkdir(parents=True, exist_ok=True)
    fetched_once = {"TF_PLUGIN_CACHE_DIR": str(cache)}
    # a variable that points nowhere is worse than none: Terraform warns at every command
    return {**fetched_once, "TF_CLI_CONFIG_FILE": str(given)} if given.is_file() else fetched_once


def find_mirror() -> Path | None:
    """A folder that holds the locked provider for this machine, laid out as a Terraform mirror."""
    version = _found(LOCKED, SOURCE / ".terraform.lock.hcl")
    machine = platform.machine().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    target = f"{platform.system().lower()}_{machine}"
    for mirror in _mirrors():
        provider = mirror / PROVIDER
        unpacked = provider / version / target
        packed = provider / f"terraform-provider-aws_{version}_{target}.zip"
        if unpacked.is_dir() or packed.is_file():
            return mirror
    return None


def _mirrors() -> Iterator[Path]:
    yield from PLUGIN_FOLDERS
    for level in range(SEARCHED_LEVELS):
        for provider in SEARCHED_FOLDER.glob("*/" * level + str(PROVIDER)):
            yield provider.parents[len(PROVIDER.parts) - 1]


def _cli_config(mirror: Path) -> Path:
    config = CACHE / "terraform.rc"
    config.parent.mkdir(parents=True, exist_ok=True)
    text = f"""\
provider_installation {{
  filesystem_mirror {{
    path    = {json.dumps(str(mirror))}
    include = ["{PROVIDER}"]
  }}
  direct {{
    exclude = ["{PROVIDER}"]
  }}
}}
"""
    # moved into place whole: another test process may be reading it
    with tempfile.NamedTemporaryFile("w", dir=config.parent, delete=False) as new:
        new.write(text)
    return Path(new.name).replace(config)


def _copy_sources(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*SOURCE.glob("*.tf"), SOURCE / ".terraform.lock.hcl"]:
        shutil.copy(file, folder)
    for name in ("profiles", "tests"):
        shutil.copytree(SOURCE / name, folder / name, dirs_exist_ok=True)
    (folder / "sandbox_override.tf").write_text(FEW_TRIES)


def new_ssh_key(folder: Path) -> tuple[Path, str]:
    """Makes a key pair in `folder`: the private key's file and the public key's text."""
    private = folder / "id_ed25519"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cartext-sandbox", "-f", private],
        check=True,
    )
    return private, private.with_suffix(".pub").read_text().strip()


def _check() -> None:
    """The code's layout and what it names, where this machine's Terraform can tell."""
    reason = unusable()
    if reason:
        print(f"{reason}: Terraform's code is not checked")
        return
    with tempfile.TemporaryDirectory(prefix="cartext-") as name:
        stack = Terraform(Path(name), os.environ, {})
        stack.run("fmt", "-check", "-recursive", "-diff", str(SOURCE))
        print(stack.run("validate").strip())


def main() -> None:
    """Applies the stack to a fresh sandbox and keeps both until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="sandbox.terraform", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="check the code and end")
    if parser.parse_args().check:
        _check()
        return
    leave_on_signals()
    # it takes seconds to import, in which a signal must end it as quietly as later
    from sandbox.aws.server import Sandbox  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="cartext-") as name, Sandbox() as aws:
        key, public_key = new_ssh_key(Path(name))
        variables = {
            "bucket": aws.create_bucket("cartext-images"),
            "ssh_cidr": "127.0.0.1/32",
            "public_key": public_key,
            "ssh_key_file": str(key),
        }
        stack = Terraform(Path(name) / "terraform", aws.environment(), variables, echo=True)
        stack.apply()
        print(f"""
It stands. To look at it, in another shell:

{shell_lines(aws.aws_environment)}
terraform -chdir={stack.folder} output
aws ec2 describe-instances
aws sqs get-queue-attributes --attribute-names All --queue-url {stack.outputs()["queue_url"]}

Ctrl-C takes it down and leaves nothing behind.""")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except TerraformError as error:
        sys.exit(f"sandbox.terraform: {error}")
