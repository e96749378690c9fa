"""The machine image: a Debian that an EC2 instance could have been started from, built once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from sandbox.hosts.shell import HostsError, run

SUITE = "bookworm"
LOGIN_USER = "admin"  # as in Debian's own images for EC2
PACKAGES = (
    "systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,sudo,iproute2,ca-certificates,"
    "e2fsprogs,python3,python3-apt"
)
SETUP = f"""
set -eu
useradd --create-home --shell /bin/bash {LOGIN_USER}
echo '{LOGIN_USER} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-cloud-init-users
rm -f /etc/ssh/ssh_host_*_key*
: > /etc/machine-id
systemctl -q enable systemd-networkd imds.socket
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer getty.target console-getty.service
apt-get clean
"""
FILES = Path(__file__).parent / "files"


def machine_image(cache: Path) -> Path:
    """Folder of the image below `cache`, built (about a minute) when none is of this recipe."""
    image = cache / f"image-{_fingerprint()}"
    if image.exists():
        return image
    unfinished = image.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    print(f"hosts: building the machine image ({SUITE}), once, about a minute …", flush=True)
    run(
        *("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, unfinished),
        *_mirror(),
    )
    shutil.copytree(FILES, unfinished, dirs_exist_ok=True)
    run("chroot", unfinished, "sh", "-c", SETUP)
    unfinished.rename(image)
    for old in cache.glob("image-*"):
        if old != image:
            shutil.rmtree(old)
    return image


def _fingerprint() -> str:
    files = sorted(file for file in FILES.rglob("*") if file.is_file())
    recipe = [SUITE, PACKAGES, SETUP, *(f"{file.name} {file.read_text()}" for file in files)]
    return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]


def _mirror() -> list[str]:
    # the machine's own mirror, where it runs the same release: it is reachable, and often nearer
    try:
        sites = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)").splitlines()
    except (HostsError, FileNotFoundError):
        return []
    return [line.split()[0] for line in sites if line.split()[1:] == [SUITE]][:1]
