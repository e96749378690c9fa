"""Terraform's stack on booted hosts, and what a person does with it."""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import CACHE
from sandbox.aws.rekognition.service import counts, knobs
from sandbox.hosts import mission
from sandbox.hosts.hosts import HOME, Hosts, holder
from sandbox.hosts.shell import missing
from sandbox.scenes import Sample, sample_images
from sandbox.terraform import Terraform

IMAGES = 16
# a killed worker's messages come back after the timeout: short, so that the tests are
SHORT = {"retry_seconds": 15, "visibility_timeout_seconds": 30}
ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))


@dataclass
class Played:
    """A playbook that has run."""

    status: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Counts (`ok`, `changed`, `failed` …) by host."""
        lines = self.output.partition("PLAY RECAP")[2].splitlines()
        return {
            line.split()[0]: {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}
            for line in lines
            if "ok=" in line
        }

    @property
    def changed(self) -> int:
        """Changes on all hosts together."""
        return sum(host["changed"] for host in self.recap.values())

    @property
    def complaints(self) -> list[str]:
        """What the failed tasks said, each folded to one line."""
        parts = re.findall(r"^fatal: .*?(?=^\S|\Z)", self.output, re.MULTILINE | re.DOTALL)
        return [" ".join(part.split()) for part in parts]


@dataclass
class Playing:
    """A playbook that runs; what it says goes into a file."""

    process: subprocess.Popen[bytes]
    said: Path

    def end(self, seconds: float) -> Played:
        """Waits for its end."""
        status = self.process.wait(seconds)
        return Played(status, self.said.read_text())

    def interrupt(self) -> Played:
        """Ends it as Ctrl-C does; the workers go on."""
        self.process.send_signal(signal.SIGINT)
        return self.end(60)


@dataclass
class Deployment:
    """The hosts with Terraform's stack on them, and what a person does with them."""

    hosts: Hosts
    stack: Terraform
    samples: list[Sample]
    runs: Path
    checkout: Path
    outputs: dict[str, Any] = field(default_factory=dict)
    playing: list[Playing] = field(default_factory=list)

    def apply(self, *arguments: str, **variables: object) -> None:
        """Applies the stack again and waits for its guests; the variables stay set."""
        self.stack.apply(*arguments, **variables)
        self.hosts.settle()
        self.outputs = self.stack.outputs()

    def play(self, playbook: str, *arguments: str, **environment: str) -> Played:
        """Runs a playbook, whatever comes of it."""
        done = subprocess.run(
            [ANSIBLE_PLAYBOOK, playbook, "-e", f"runs_dir={self.runs}", *arguments],
            cwd=mission.ANSIBLE,
            env={**mission.playbook_environment(self.hosts), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Played(done.returncode, done.stdout)

    def site(self, *arguments: str, checkout: Path | None = None) -> Played:
        """Runs site.yml, which must not fail; `checkout` has the workers to install."""
        source = ("-e", f"checkout={checkout or self.checkout}")
        played = self.play("site.yml", *source, *arguments)
        assert played.status == 0, played.output
        return played

    def run(self, name: str, *arguments: str) -> Played:
        """Runs run.yml to the end of the run, which must not fail."""
        played = self.play("run.yml", "-e", f"run={name}", *arguments)
        assert played.status == 0, played.output
        return played

    def start(self, name: str, *arguments: str) -> Playing:
        """Starts run.yml and does not wait for it."""
        said = self.runs / f"{name}-{time.monotonic_ns()}.log"
        of_run = ("-e", f"run={name}", "-e", f"runs_dir={self.runs}")
        with said.open("wb") as file:
            process = subprocess.Popen(
                [ANSIBLE_PLAYBOOK, "run.yml", *of_run, *arguments],
                cwd=mission.ANSIBLE,
                env=mission.playbook_environment(self.hosts),
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.playing.append(Playing(process, said))
        return self.playing[-1]

    def ssh(self, key: str, command: str, *, check: bool = True) -> str:
        """Runs a command on a worker (`label-1`) by Terraform's own ssh command."""
        ssh, *arguments = shlex.split(self.outputs["ssh_commands"][key])
        known = f"UserKnownHostsFile={self.hosts.home / 'known_hosts'}"
        done = subprocess.run(
            [ssh, "-o", known, "-o", "StrictHostKeyChecking=yes", *arguments, command],
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_until(self, what: str, is_so: Any, seconds: float = 180) -> None:
        """Waits for something that must come."""
        give_up = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < give_up, f"{what} did not come within {seconds} s"
            time.sleep(0.2)

    def is_idle(self, key: str) -> bool:
        """Whether the worker's unit has ended."""
        state = self.ssh(key, f"systemctl show --value -p ActiveState {unit(key)}", check=False)
        return state.strip() in ("inactive", "failed")

    def events(self, key: str, run: str, name: str) -> list[dict[str, Any]]:
        """The events of that name that a worker has logged for the run."""
        log = self.ssh(key, f"journalctl --output=cat -u {unit(key)}", check=False)
        parsed = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        return [event for event in parsed if event["event"] == name and event["run"] == run]

    def truth(self) -> dict[str, set[str]]:
        """Index and texts of every drawn image with a car and text."""
        return {
            sample.index: set(sample.truth.text)
            for sample in self.samples
            if sample.truth.car and sample.truth.text
        }


class Pair(Deployment):
    """One worker of each kind."""

    def forget(self) -> None:
        """Takes away what both workers know of the pictures: another run pays for them anew."""
        text = "DELETE FROM answer"
        path = "/var/lib/cartext/ledger.sqlite3"
        script = f"import sqlite3; c = sqlite3.connect('{path}'); c.execute('{text}'); c.commit()"
        for key in ("label-1", "text-1"):
            self.ssh(key, f'sudo -u cartext /opt/cartext/current/bin/python -c "{script}"')

    def output(self, run: str) -> str:
        """The output that was brought home."""
        return (self.runs / run / "output.txt").read_text()

    def output_on_volume(self, run: str) -> str:
        """The output as it lies on the text worker's volume."""
        return self.ssh("text-1", f"sudo cat /var/lib/cartext/{run}/output.txt")


def unit(key: str) -> str:
    """The systemd unit of a worker."""
    return f"cartext-{key.partition('-')[0]}"


def read_output(text: str) -> dict[str, set[str]]:
    """Index and texts of an output.txt."""
    pairs = (line.split(": ", 1) for line in text.splitlines())
    return {index: set(texts.split(" | ")) for index, texts in pairs}


def paid() -> dict[str, dict[str, int]]:
    """For each operation, how often each image was paid for since the counts were reset."""
    return {name: dict(count["paid"]) for name, count in counts().items()}


def repeated_calls() -> int:
    """How many calls were paid for again since the counts were reset."""
    return sum(times - 1 for images in paid().values() for times in images.values())


def copy_sources(checkout: Path, target: Path) -> None:
    """Copies what is installed on hosts, so that an edit meanwhile is no new version."""
    for folder in ("workers", "console", "requirements"):
        shutil.copytree(checkout / folder, target / folder)
    shutil.copy(checkout / "pyproject.toml", target)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A fresh sandbox whose instances are guests, for one file at a time, whoever runs it."""
    reason = missing()
    if not reason and not Path(ANSIBLE_PLAYBOOK).exists():
        reason = "hosts need Ansible in the virtual environment"
    if reason:
        pytest.skip(reason)
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "hosts.tests").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if holder(HOME):
            pytest.skip("hosts are up already: make hosts-down")
        with Hosts() as hosts:
            yield hosts


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where runs come home to, and a copy of what is installed."""
    runs, checkout = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("checkout")
    copy_sources(mission.ROOT, checkout)
    return runs, checkout


@pytest.fixture(scope="module")
def pair(hosts: Hosts, folders: tuple[Path, Path]) -> Pair:
    """Terraform's stack applied, and its guests booted and bare."""
    samples = list(sample_images(IMAGES))
    images = [(sample.index, sample.data) for sample in samples]
    stack = mission.apply(hosts, images, **SHORT)
    return Pair(hosts, stack, samples, *folders, stack.outputs())


@pytest.fixture(autouse=True)
def usual_knobs() -> Iterator[None]:
    """Each test begins and ends with the sandbox's usual behaviour."""
    yield
    knobs.latency_seconds = 0.0
