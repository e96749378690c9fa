"""`python -m sandbox.hosts`: the whole mission on booted hosts of this machine."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from sandbox import ROOT
from sandbox.arguments import folder
from sandbox.errors import SandboxError
from sandbox.exports import path_to_cartext, shell_lines
from sandbox.hosts import leftovers, mission
from sandbox.hosts.hosts import HOME, Hosts, holder, only_one
from sandbox.hosts.shell import HostsError, missing
from sandbox.pictures import pictures, told_by
from sandbox.signals import leave_on_signals
from workers.output.files import replacing

LOG = HOME.with_suffix(".log")
ENVIRONMENT = HOME / "environment"
WITH_ENVIRONMENT = ("sh", "-c", '. "$0" && exec "$@"', str(ENVIRONMENT))
USAGE = HOME / "usage"
RUN = "hosts"
DOWN_SECONDS = 60.0

DESCRIPTION = """\
A fresh emulated AWS, `terraform apply`, and a booted guest for every instance of it. As root, on
Linux, with systemd-container and debootstrap.

commands:
  mission  all of it, one run and its output, and everything down again (default)
  up       the same without the run, and it stays up: log in, run the playbooks, tail the logs
  down     takes down what is up, and what a crash left
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _options(arguments)
    leave_on_signals()
    try:
        if reason := missing():
            raise HostsError(reason)
        COMMANDS[options.command](options)
    except SandboxError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m sandbox.hosts",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command", nargs="?", default="mission", choices=COMMANDS, metavar="COMMAND"
    )
    parser.add_argument(
        "--images", type=folder, metavar="FOLDER", help="your own pictures, JPEG or PNG"
    )
    parser.add_argument(
        "--scenes", type=int, default=10, metavar="N", help="else: drawn ones (default: 10)"
    )
    parser.add_argument(
        "--network",
        type=IPv4Network,
        default=mission.NETWORK,
        metavar="CIDR",
        help=f"of the VPC, if this machine has another use for {mission.NETWORK}",
    )
    return parser.parse_args(arguments)


def _mission(options: argparse.Namespace) -> None:
    with Hosts() as hosts:
        stack = mission.apply(hosts, _images(options), options.network, echo=True)
        environment = mission.playbook_environment(hosts)
        mission.play(environment, "site.yml")
        mission.play(environment, "run.yml", "-e", f"run={RUN}")
        for name, command in stack.outputs()["log_commands"].items():
            print(f"# the log of {name}, while the hosts are up: {command}")
    folder = mission.RUNS / RUN
    print(f"\n# {folder / 'output.txt'}\n{(folder / 'output.txt').read_text()}", end="")


def _up(options: argparse.Namespace) -> None:
    with only_one(HOME):
        ENVIRONMENT.unlink(missing_ok=True)
    keep = [sys.executable, "-m", "sandbox.hosts", "keep", "--scenes", str(options.scenes)]
    keep += ["--network", str(options.network)]
    if options.images:
        keep += ["--images", str(options.images.resolve())]
    with LOG.open("w") as log:
        keeper = subprocess.Popen(
            keep,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    print(f"hosts: terraform apply, and a guest for every instance ({LOG}) …", flush=True)
    try:
        while not ENVIRONMENT.exists():
            if keeper.poll() is not None:
                raise HostsError(f"they did not come up: {LOG.read_text().strip()[-2000:]}")
            time.sleep(0.2)
        mission.play(os.environ, "site.yml", through=WITH_ENVIRONMENT)
    except BaseException:
        keeper.terminate()
        keeper.wait(DOWN_SECONDS)
        raise
    print(USAGE.read_text(), end="")


def _keep(options: argparse.Namespace) -> None:
    """What `up` leaves running: the sandbox, and with it the guests."""
    with Hosts() as hosts:
        stack = mission.apply(hosts, _images(options), options.network, echo=True)
        outputs = stack.outputs()
        lines = [
            f"  {c}" for name in ("ssh_commands", "log_commands") for c in outputs[name].values()
        ]
        USAGE.write_text(
            "\nThe pair stands. In another shell, as root:\n\n"
            + "\n".join(lines)
            + f"\n\n  . {ENVIRONMENT}   # AWS clients, terraform and ansible mean this AWS then\n"
            f"  cd {mission.ANSIBLE} && ansible-playbook run.yml\n"
            f"  terraform -chdir={hosts.home / 'terraform'} plan\n\nmake hosts-down ends it.\n"
        )
        terraform = {k: v for k, v in stack.environment.items() if k.startswith("TF_")}
        _write_environment({**mission.playbook_environment(hosts), **terraform})
        threading.Event().wait()


def _down(_: argparse.Namespace) -> None:
    keeper = holder(HOME)
    if keeper:
        os.kill(keeper, signal.SIGTERM)
        give_up = time.monotonic() + DOWN_SECONDS
        while holder(HOME) and time.monotonic() < give_up:
            time.sleep(0.2)
    with only_one(HOME):
        leftovers.remove(HOME)
    print("hosts: down")


COMMANDS = {"mission": _mission, "up": _up, "down": _down, "keep": _keep}


def _images(options: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    return pictures(options.images, options.scenes, told_by("hosts"))


def _write_environment(environment: dict[str, str]) -> None:
    own = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    with replacing(ENVIRONMENT) as file:
        file.write(f"{shell_lines(own)}\n{path_to_cartext()}\n")


if __name__ == "__main__":
    sys.exit(main())
