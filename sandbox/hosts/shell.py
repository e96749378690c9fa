"""Running the system's commands, and what this machine must have for the hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.terraform import unusable

TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "losetup": "mount",
    "nsenter": "util-linux",
}
# with the system's tools, which a plain user's shell leaves out
PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


class HostsError(SandboxError):
    """A command failed, or this machine cannot have hosts as it is."""


def run(*command: str | Path, check: bool = True) -> str:
    """Runs a command and returns its standard output.

    Raises `HostsError` with what the command said when it fails and `check` is set.
    """
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": PATH},
    )
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise HostsError(f"{' '.join(map(str, command))} failed: {said}")
    return done.stdout


def missing() -> str:
    """Why this machine cannot have hosts, as one sentence; empty when it can."""
    if os.uname().sysname != "Linux":
        return "hosts need Linux: systemd guests run in this machine's own kernel"
    needs = [] if os.geteuid() == 0 else ["root, for guests, a bridge and disks"]
    packages = sorted({p for tool, p in TOOLS.items() if shutil.which(tool, path=PATH) is None})
    if packages:
        needs.append(f"these packages: {' '.join(packages)}")
    without = unusable()
    if without:
        needs.append(f"Terraform ({without})")
    if needs:
        return f"hosts need {' and '.join(needs)}"
    if not Path("/dev/loop-control").exists():
        return "hosts need loop devices (/dev/loop-control), for the data volumes"
    return ""
