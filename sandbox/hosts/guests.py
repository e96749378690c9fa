"""One guest: a systemd that boots from the image in namespaces of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path

from sandbox.hosts import disks
from sandbox.hosts.image import LOGIN_USER
from sandbox.hosts.shell import HostsError, run

BOOT_SECONDS = 60.0
SHUTDOWN_SECONDS = 20.0
SIGNAL_POWEROFF = signal.SIGRTMIN + 4  # what systemd takes for the power button


@dataclass
class Guest:
    """The machine of one instance.

    `folder` holds what the instance changed of the image (its root volume); it survives a power
    cut and goes with `destroy`, as an instance's root volume goes with its termination.
    """

    name: str
    folder: Path
    image: Path
    address: IPv4Interface
    router: IPv4Interface
    public_key: str
    volumes: dict[str, Path] = field(default_factory=dict)
    has_power: bool = True
    _nspawn: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Where this machine sees the guest's root file system."""
        return self.folder / "root"

    @property
    def running(self) -> bool:
        """Whether its processes are there."""
        return self._nspawn is not None and self._nspawn.poll() is None

    def power_on(self, bridge: str) -> None:
        """Boots; the first time from the bare image. Returns when ssh answers.

        Raises `HostsError` with the end of its console when it does not come up.
        """
        self.has_power = True
        if not self.root.exists():
            self._install()
        groups = _control_groups(self.name)
        enter_groups = 'for group in $GROUPS_; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'
        with (self.folder / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", enter_groups, "sh", *self._command(bridge, own_groups=bool(groups))],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={**os.environ, "GROUPS_": " ".join(map(str, groups))},
            )
        self._wait_for_ssh()

    def plug(self, volume_id: str, loop: Path) -> None:
        """Shows a volume to the guest, now and at every boot."""
        self.volumes[volume_id] = loop
        if self.root.exists():
            self._write_volumes()
        if self.running:
            inside = ("nsenter", f"--target={self._init()}", "--pid", "--mount", "--root", "--")
            run(*inside, "systemd-tmpfiles", "--create", "/etc/tmpfiles.d/ec2-volumes.conf")

    def power_cut(self) -> None:
        """Ends all of its processes at once."""
        self.has_power = False
        if self._nspawn is None or not self.running:
            return
        # the first process of a pid namespace takes all others with it, without a goodbye
        os.kill(self._init(), signal.SIGKILL)
        self._nspawn.wait(SHUTDOWN_SECONDS)
        remove_control_groups(self.name)

    def power_off(self) -> None:
        """Shuts down in order; pulls the plug if that takes too long."""
        if self._nspawn is None or not self.running:
            return
        os.kill(self._init(), SIGNAL_POWEROFF)
        try:
            self._nspawn.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            self.power_cut()
        remove_control_groups(self.name)

    def destroy(self) -> None:
        """Shuts down and forgets the root volume; data volumes stay."""
        self.power_off()
        if os.path.ismount(self.root):
            run("umount", self.root)
        shutil.rmtree(self.folder)

    def _install(self) -> None:
        for part in ("root", "changes", "work"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir={self.image},upperdir={self.folder}/changes,workdir={self.folder}/work"
        try:
            run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        except HostsError:  # the checkout lies on an overlay itself: a copy does as well
            run("cp", "--archive", "--reflink=auto", f"{self.image}/.", self.root)
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        (etc / "systemd/network/10-ec2.network").write_text(
            "[Match]\nName=host0\n\n[Network]\nLinkLocalAddressing=no\n"
            f"Address={self.address}\nGateway={self.router.ip}\n"
        )
        keys = self.root / "home" / LOGIN_USER / ".ssh"
        keys.mkdir(mode=0o700)
        (keys / "authorized_keys").write_text(f"{self.public_key}\n")
        run("chroot", self.root, "chown", "-R", f"{LOGIN_USER}:", f"/home/{LOGIN_USER}/.ssh")
        host_key = ("-f", "/etc/ssh/ssh_host_ed25519_key")
        run("chroot", self.root, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", *host_key)
        self._write_volumes()

    def _write_volumes(self) -> None:
        lines = [disks.as_tmpfiles(volume, loop) for volume, loop in self.volumes.items()]
        (self.root / "etc/tmpfiles.d/ec2-volumes.conf").write_text("".join(lines))

    def _command(self, bridge: str, *, own_groups: bool) -> list[str]:
        # without a systemd of this machine's own there is nobody to ask for a scope
        unit = ["--keep-unit"] if own_groups else ["--property=DeviceAllow=block-loop rwm"]
        return [
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", *unit),
            *(f"--directory={self.root}", f"--machine={self.name}", f"--network-bridge={bridge}"),
            *("--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        ]

    def _init(self) -> int:
        if self._nspawn is None:
            raise HostsError(f"{self.name} is off")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text()
        return int(children.split()[0])

    def _wait_for_ssh(self) -> None:
        give_up = time.monotonic() + BOOT_SECONDS
        while self.running and time.monotonic() < give_up:
            try:
                with socket.create_connection((str(self.address.ip), 22), timeout=1) as ssh:
                    if ssh.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.1)
        console = (self.folder / "console.log").read_text(errors="replace")
        raise HostsError(f"{self.name} does not come up: {console[-2000:]}")


def _control_groups(name: str) -> list[Path]:
    """Control groups for a guest, made in the hierarchies that systemd uses.

    None on a machine that itself runs systemd, which gives each guest a scope.
    """
    if Path("/run/systemd/system").exists():
        return []
    groups = [hierarchy / "cartext-hosts" / name for hierarchy in _hierarchies()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def remove_control_groups(name: str = "") -> None:
    """Removes a guest's empty control groups, or those of all guests."""
    for hierarchy in _hierarchies():
        top = hierarchy / "cartext-hosts" / name
        for folder, _, _ in os.walk(top, topdown=False):
            _rmdir_once_empty(Path(folder))


def _rmdir_once_empty(group: Path) -> None:
    for _ in range(50):
        try:
            group.rmdir()
        except OSError:  # its last process is still being buried
            time.sleep(0.1)
        else:
            return


def _hierarchies() -> list[Path]:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [
        Path(where)
        for _, where, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    ]
