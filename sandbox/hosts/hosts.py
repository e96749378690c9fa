"""The emulated EC2 with machines in it: every running instance is a guest one can log in to."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox import CACHE
from sandbox.aws.server import Sandbox
from sandbox.hosts import disks, leftovers
from sandbox.hosts.guests import Guest
from sandbox.hosts.image import machine_image
from sandbox.hosts.metadata import Metadata
from sandbox.hosts.network import AWS_ADDRESS, Bridge, homes_of_bridges
from sandbox.hosts.shell import HostsError, missing, run

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

HOME = (CACHE / "hosts").resolve()  # as the kernel names what is mounted below it
IMAGES = HOME.parent / "images"
POLL_SECONDS = 1.0


class Hosts:
    """A sandbox and the guests of its instances, kept in step with what EC2 says.

    One at a time for a checkout. All that it makes lies below `home` or bears a name made from it,
    so that the next start removes what a crash left. Leaving the context takes everything down.
    """

    def __init__(self, home: Path = HOME) -> None:
        self.home = home
        self.guests: dict[str, Guest] = {}
        self._bridge = Bridge(home)
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._changing = threading.RLock()

    def __enter__(self) -> Self:
        if reason := missing():
            raise HostsError(reason)
        with self._stack:
            self._stack.enter_context(only_one(self.home))
            leftovers.remove(self.home)
            for home in homes_of_bridges():
                # of another checkout, whose process has died and cannot clean up any more
                if holder(home) is None:
                    leftovers.remove(home)
            self._image = machine_image(IMAGES)
            self._stack.callback(leftovers.remove, self.home)
            self._bridge.up()
            sandbox = Sandbox(host=str(AWS_ADDRESS), answers=self._bridge.leads_to)
            self.sandbox = self._stack.enter_context(sandbox)
            self._stack.enter_context(Metadata(self.sandbox))
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key_file)
            follower = threading.Thread(target=self._follow, name="hosts", daemon=True)
            self._stack.callback(self._power_cut_all)
            self._stack.callback(follower.join)
            self._stack.callback(self._stop.set)
            follower.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def key_file(self) -> Path:
        """Private key for ssh into the guests; the public half lies beside it."""
        return self.home / "key"

    def settle(self) -> None:
        """Brings the guests in step with EC2 now. Raises `HostsError` when one does not boot."""
        with self._changing:
            wanted = {i["InstanceId"]: i for i in self._instances()}
            for instance_id in [i for i in self.guests if i not in wanted]:
                self.guests.pop(instance_id).destroy()
            for instance_id, instance in wanted.items():
                self._settle_instance(instance_id, instance)

    def guest(self, name: str) -> Guest:
        """The guest of the instance with this `Name` tag. Raises `KeyError` when there is none."""
        with self._changing:
            for guest in self.guests.values():
                if guest.name == name:
                    return guest
        raise KeyError(name)

    def power_cut(self, name: str) -> None:
        """Takes the power from a guest, as when its hardware fails."""
        with self._changing:
            self.guest(name).power_cut()

    def power_on(self, name: str) -> None:
        """Gives it the power back; returns when it answers."""
        with self._changing:
            self.guest(name).power_on(self._bridge.name)

    def _settle_instance(self, instance_id: str, instance: InstanceTypeDef) -> None:
        guest = self.guests.get(instance_id)
        if instance["State"]["Name"] in ("stopping", "stopped"):
            if guest:
                guest.power_off()
            return
        if guest is None:
            guest = self.guests[instance_id] = self._guest(instance_id, instance)
        for volume_id, size in self._data_volumes(instance):
            file = self.home / "volumes" / volume_id
            if volume_id not in guest.volumes:
                guest.plug(volume_id, disks.attach(file, size))
            disks.grow(file, size)
        if guest.has_power and not guest.running:
            guest.power_on(self._bridge.name)

    def _guest(self, instance_id: str, instance: InstanceTypeDef) -> Guest:
        names = [tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == "Name"]
        subnets = self._ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
        network = IPv4Network(subnets[0]["CidrBlock"])
        keys = self._ec2.describe_key_pairs(KeyNames=[instance["KeyName"]], IncludePublicKey=True)[
            "KeyPairs"
        ]
        return Guest(
            name=(names or [instance_id])[0],
            folder=self.home / "guests" / instance_id,
            image=self._image,
            address=IPv4Interface(f"{instance['PrivateIpAddress']}/{network.prefixlen}"),
            router=self._bridge.add_subnet(network),
            public_key=keys[0]["PublicKey"],
        )

    def _data_volumes(self, instance: InstanceTypeDef) -> Iterator[tuple[str, int]]:
        attached = self._ec2.describe_volumes(
            Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
        )["Volumes"]
        for volume in attached:
            if volume["Attachments"][0]["Device"] != instance["RootDeviceName"]:
                yield volume["VolumeId"], volume["Size"]

    def _instances(self) -> list[InstanceTypeDef]:
        states = ["pending", "running", "stopping", "stopped"]
        reservations = self._ec2.describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": states}]
        )["Reservations"]
        return [instance for group in reservations for instance in group["Instances"]]

    @cached_property
    def _ec2(self) -> EC2Client:
        client: EC2Client = self.sandbox.client("ec2")
        return client

    def _follow(self) -> None:
        trouble = ""
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.settle()
            except Exception as error:  # tried again, and said once
                if str(error) != trouble:
                    trouble = str(error)
                    print(f"hosts: {trouble}", file=sys.stderr, flush=True)

    def _power_cut_all(self) -> None:
        for guest in self.guests.values():
            guest.power_cut()


def only_one(home: Path) -> ExitStack:
    """Holds the home folder for this process. Raises `HostsError` when another one does.

    The kernel frees the lock with the process, so that a dead one never stands in the way.
    """
    home.mkdir(parents=True, exist_ok=True)
    stack = ExitStack()
    file = stack.enter_context((home / "lock").open("a+"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise HostsError(
            f"hosts are up already (process {holder(home)}); take them down first: make hosts-down"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return stack


def holder(home: Path) -> int | None:
    """The process that keeps hosts up in this home folder, or None."""
    lock = home / "lock"
    if not lock.exists():
        return None
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0)
    return None
