"""How long Ansible takes to make workers of fresh hosts, and where the seconds go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.report import Row
from sandbox.hosts import mission
from sandbox.hosts.hosts import HOME, Hosts, holder
from sandbox.hosts.shell import missing
from sandbox.scenes import sample_images

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SLOWEST = 5


def provisioning(_: bool) -> Iterator[Row]:
    """`site.yml` on two booted hosts: bare ones, and again when nothing has changed."""
    if reason := _unable():
        yield {"site.yml": f"left out: {reason}"}
        return
    with Hosts() as hosts:
        mission.apply(hosts, ((sample.index, sample.data) for sample in sample_images(1)))
        for state in ("bare", "unchanged"):
            yield {"site.yml": state, **_site(hosts)}


def _unable() -> str:
    """Why this machine cannot boot hosts; empty when it can."""
    if not PLAYBOOK.exists():
        return "hosts need Ansible in the virtual environment"
    if holder(HOME):
        return "hosts are up already: make hosts-down"
    return missing()


def _site(hosts: Hosts) -> Row:
    environment = mission.playbook_environment(hosts)
    environment["ANSIBLE_STDOUT_CALLBACK"] = "ansible.posix.json"
    began, cpu = time.monotonic(), _cpu()
    done = subprocess.run(
        [PLAYBOOK, "site.yml"],
        cwd=mission.ANSIBLE,
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    seconds = time.monotonic() - began
    told = json.loads(done.stdout)
    if done.returncode:
        raise RuntimeError(f"site.yml failed: {json.dumps(told['plays'][-1], indent=1)[-2000:]}")
    plays: defaultdict[str, float] = defaultdict(float)
    tasks: defaultdict[str, float] = defaultdict(float)
    number = 0
    for play in told["plays"]:
        for task in play["tasks"]:
            took = _seconds(task)
            plays[f"  {play['play']['name']}, s"] += took
            tasks[task["task"]["name"]] += took
            number += 1
    slowest = sorted(tasks, key=lambda name: -tasks[name])
    return {
        "seconds": seconds,
        "CPU s of the controller": _cpu() - cpu,
        "  start of Ansible, inventory, s": seconds - sum(plays.values()),
        **plays,
        "tasks": number,
        "changed": sum(host["changed"] for host in told["stats"].values()),
        "slowest": ", ".join(f"{name} {tasks[name]:.1f}" for name in slowest[:SLOWEST]),
    }


def _seconds(task: dict[str, Any]) -> float:
    """From a task's start to its end on the last host; 0 for one that no host has done."""
    start, end = (task["task"]["duration"].get(name, "") for name in ("start", "end"))
    if not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _cpu() -> float:
    """CPU seconds of the children that have ended."""
    used = os.times()
    return used.children_user + used.children_system
