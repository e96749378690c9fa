"""The bridge between this machine and its guests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from pathlib import Path

from sandbox.hosts.shell import HostsError, run

# Where the emulated AWS answers, for this machine and its guests alike: link-local, so that no
# router leads to it, and away from the addresses of real metadata services.
AWS_ADDRESS = IPv4Address("169.254.77.1")
MAC_ADDRESS = "02:00:a9:fe:4d:01"


class Bridge:
    """A bridge named after the home folder, so that the next start finds what a crash left."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._known: dict[str, bool] = {}
        self.name = "cartext-" + hashlib.sha256(str(home).encode()).hexdigest()[:6]

    def up(self) -> None:
        """Makes the bridge. Raises `HostsError` when its address is taken."""
        # machines may have a route for all link-local addresses; only this very one must be free
        refuse_used(IPv4Network(AWS_ADDRESS), narrowest=32)
        # else it is the lowest of the guests', and changes as they come and go: none finds it then
        run("ip", "link", "add", self.name, "address", MAC_ADDRESS, "type", "bridge")
        run("ip", "link", "set", self.name, "up", "alias", str(self._home))
        run("ip", "address", "add", f"{AWS_ADDRESS}/32", "dev", self.name)

    def add_subnet(self, network: IPv4Network) -> IPv4Interface:
        """Joins a VPC's subnet and returns the router's address, as in a VPC the subnet's first.

        Raises `HostsError` when this machine already has a way to those addresses.
        """
        router = IPv4Interface(f"{network[1]}/{network.prefixlen}")
        if router not in self._addresses():
            refuse_used(router.network)
            run("ip", "address", "add", str(router), "dev", self.name)
        return router

    def leads_to(self, address: str) -> bool:
        """Whether it is this machine's own or a guest's; a neighbour may have a route to here."""
        if address not in self._known:
            (route,) = json.loads(run("ip", "-json", "route", "get", address))
            self._known[address] = route["dev"] in {"lo", self.name}
        return self._known[address]

    def down(self) -> None:
        """Takes the bridge away, if it is there, and the guests' ends, which may outlive them."""
        if (there := Path("/sys/class/net", self.name)).exists():
            for end in (there / "brif").iterdir():
                run("ip", "link", "delete", end.name, check=False)
            run("ip", "link", "delete", self.name)

    def _addresses(self) -> list[IPv4Interface]:
        links = json.loads(run("ip", "-json", "-4", "address", "show", "dev", self.name))
        return [
            IPv4Interface(f"{address['local']}/{address['prefixlen']}")
            for link in links
            for address in link.get("addr_info", [])
        ]


def homes_of_bridges() -> Iterator[Path]:
    """The home folder of every bridge that is up, also of other checkouts'."""
    for alias in Path("/sys/class/net").glob("cartext-*/ifalias"):
        if home := alias.read_text().strip():
            yield Path(home)


def refuse_used(network: IPv4Network, narrowest: int = 0) -> None:
    """Raises `HostsError` when a route of this machine, no wider than `narrowest`, leads there."""
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] == "default":
            continue
        used = ip_network(route["dst"])
        if used.overlaps(network) and used.prefixlen >= narrowest:
            raise HostsError(
                f"{network} is in use on this machine ({used}, dev {route.get('dev')}): "
                "are hosts of another checkout up? Else choose another --network"
            )
