"""What an earlier start left behind, found by the home folder it was made for, and removed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from sandbox.hosts import disks
from sandbox.hosts.guests import remove_control_groups
from sandbox.hosts.network import Bridge
from sandbox.hosts.shell import run


def remove(home: Path) -> None:
    """Ends guests and takes away mounts, disks, bridge and files below `home`; images stay.

    Nothing here trusts a note of an earlier start, which may be gone or old: the kernel is asked.
    """
    for process in _guests(home):
        _kill(process)
    for mount in _mounts(home):
        # lazily: a killed guest's last breath may still hold it
        run("umount", "--lazy", mount, check=False)
    disks.detach_all(home)
    Bridge(home).down()
    remove_control_groups()
    if home.exists():
        for entry in home.iterdir():
            if entry.name != "lock":
                _remove(entry)


def _guests(home: Path) -> Iterator[int]:
    """Each nspawn, and what guests have booted, which outlives an nspawn that somebody kills."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            mounts = (process / "mountinfo").read_text().splitlines()
        except OSError:
            continue
        roots = (mount for mount in mounts if mount.split()[4] == "/")
        is_nspawn = Path(command[0]).name == "systemd-nspawn"
        if any(f"{home}/guests/" in root for root in roots) or (
            is_nspawn and any(part.startswith(f"--directory={home}/") for part in command)
        ):
            yield int(process.name)


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    for _ in range(100):
        if not Path(f"/proc/{process}").exists():
            return
        time.sleep(0.05)


def _mounts(home: Path) -> Iterator[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # the last mounted first
    return (point for point in reversed(points) if point.startswith(f"{home}/"))


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
