"""EBS volumes: sparse files behind loop devices, which outlive the guests that use them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sandbox.hosts.shell import run

GIB = 1024**3


def attach(image: Path, size_gib: int) -> Path:
    """The loop device of a volume, made with its file when there is none yet."""
    for loop in _loops():
        if loop["back-file"] == str(image):
            return Path(loop["name"])
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(size_gib * GIB)
    return Path(run("losetup", "--find", "--show", image).strip())


def grow(image: Path, size_gib: int) -> None:
    """Makes a volume as large as EC2 says it is; whoever uses it sees that at once."""
    if image.stat().st_size < size_gib * GIB:
        os.truncate(image, size_gib * GIB)
        run("losetup", "--set-capacity", attach(image, size_gib))


def detach_all(home: Path) -> None:
    """Frees the loop devices of every volume below `home`."""
    for loop in _loops():
        if loop["back-file"].startswith(f"{home}/"):
            run("losetup", "--detach", loop["name"])


def as_tmpfiles(volume_id: str, loop: Path) -> str:
    """Lines for tmpfiles.d that show `loop` to a guest under the name of an NVMe disk of EC2."""
    number = loop.stat().st_rdev
    by_id = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
    return (
        f"b {loop} 0660 root disk - {os.major(number)}:{os.minor(number)}\n"
        f"L+ {by_id} - - - - ../../{loop.name}\n"
    )


def _loops() -> list[dict[str, str]]:
    listing = run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE")
    return json.loads(listing)["loopdevices"] if listing.strip() else []
