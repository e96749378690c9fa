"""What to paste into a shell, for the AWS clients that run there."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import getproxies

# each of these would count beside what is exported, or before it
UNSET = (
    "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN "
    "$(env | grep -o '^AWS_ENDPOINT_URL_[A-Z0-9_]*')"
)
HEEDED = {
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    # Terraform refuses these beside an endpoint, also where they are in a person's file
    "AWS_USE_FIPS_ENDPOINT": "false",
    "AWS_USE_DUALSTACK_ENDPOINT": "false",
}


def shell_lines(environment: Mapping[str, str]) -> str:
    """Makes an AWS on this machine the only one that a shell's AWS clients know of."""
    return f"{UNSET}\n{shell_exports({**past_proxies(), **HEEDED, **environment})}"


def shell_exports(environment: Mapping[str, str]) -> str:
    """A line for each variable."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def path_to_cartext() -> str:
    """The line by which a shell finds the command cartext, and what is installed beside it."""
    return f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'


def past_proxies() -> dict[str, str]:
    """What keeps a proxy out of the way to this machine, where there is one."""
    return no_proxy() if getproxies() else {}


def no_proxy(*hosts: str) -> dict[str, str]:
    """What keeps a proxy out of the way to these hosts and to this machine."""
    # some clients heed the one spelling, some the other
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join((*hosts, "127.0.0.1", "localhost")))
