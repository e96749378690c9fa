"""However a run ends, what there is of it comes home before `run.yml` says how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import ROOT

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN = "monday"
# what a host answers: first the unit's state of this look, from then on the next one's
SYSTEMCTL = """#!/bin/sh
unit={folder}/$2
cat $unit.state
test ! -e $unit.next || mv $unit.next $unit.state
"""
JOURNALCTL = """#!/bin/sh
for last; do :; done
cat {folder}/${{last#_SYSTEMD_INVOCATION_ID=}}.log
"""


@dataclass
class Workers:
    """A label worker and a text worker, as their hosts show them to `run.yml`."""

    folder: Path

    def begin(self) -> None:
        """Makes the hosts."""
        for name, script in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            program = self.folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(script.format(folder=self.folder))
            program.chmod(0o755)
        (self.folder / "group_vars").symlink_to(ROOT / "inventory/group_vars")
        groups = {role: {"hosts": {f"cartext-{role}-1": self._host(role)}} for role in ROLES}
        hosts = {"all": {"children": {"workers": {"children": groups}}}}
        (self.folder / "hosts.json").write_text(json.dumps(hosts))

    def _host(self, role: str) -> dict[str, object]:
        return {
            "ansible_connection": "local",
            "ansible_host": "-",
            "ansible_become": False,
            "state_dir": str(self.folder / role),
            # as `start.yml` leaves it
            "worker": {"longer": 0},
        }

    def is_now(self, role: str, state: str, status: int, *events: dict[str, object]) -> None:
        """The unit's state (`active`, `inactive`, `failed`), its exit status, what it logged."""
        self._state(role, "state", state, status)
        (self.folder / f"{role}.log").write_text("".join(json.dumps(e) + "\n" for e in events))

    def will_be(self, role: str, state: str, status: int) -> None:
        """The unit's state at the next look."""
        self._state(role, "next", state, status)

    def _state(self, role: str, suffix: str, state: str, status: int) -> None:
        told = {"ActiveState": state, "InvocationID": role, "ExecMainCode": 1}
        lines = [f"{name}={value}" for name, value in {**told, "ExecMainStatus": status}.items()]
        (self.folder / f"cartext-{role}.{suffix}").write_text("\n".join(lines) + "\n")

    def has(self, role: str, **files: str) -> None:
        """Files of the run on the worker's disk, by their names without the suffix."""
        suffixes = {"output": "txt"}
        for name, text in files.items():
            path = self.folder / role / RUN / f"{name}.{suffixes.get(name, 'jsonl')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def follow(self) -> tuple[int, str]:
        """Plays `run.yml` from where the run is started; its status and its last line."""
        instances = {role: {"name": f"cartext-{role}-1"} for role in ROLES}
        deployment = {"instances": instances}
        runs = str(self.folder / "runs")
        more = {"run_name": RUN, "runs_dir": runs, "deployment": deployment}
        done = subprocess.run(
            [
                *(ANSIBLE_PLAYBOOK, "run.yml", "--inventory", self.folder / "hosts.json"),
                *("--start-at-task", "Follow it", "--extra-vars", json.dumps(more)),
                *("--extra-vars", f"ansible_python_interpreter={sys.executable}"),
            ],
            cwd=ROOT / "ansible",
            env={
                **os.environ,
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "ANSIBLE_INVENTORY_ENABLED": "yaml",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout, done.stderr)  # noqa: T201 - shown with a failure
        return done.returncode, done.stdout.splitlines()[-1]

    @property
    def home(self) -> dict[str, str]:
        """The files that came home."""
        return {path.name: path.read_text() for path in (self.folder / "runs" / RUN).glob("*")}


ROLES = ("label", "text")
ALL_FAILED = "every image failed, 2 of 2 for this reason: wrong format; begin another run"
DENIED = "Rekognition DetectText: permission denied"


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    workers = Workers(tmp_path)
    workers.begin()
    return workers


def summary(finished: bool) -> dict[str, object]:
    return {"event": "summary", "finished": finished, "done": 2}


def stopped(reason: str) -> dict[str, object]:
    return {"event": "stopped", "reason": reason, "status": 78}


def test_where_every_image_failed_the_text_worker_is_waited_for_and_all_is_brought(
    workers: Workers,
) -> None:
    workers.is_now("label", "failed", 78, summary(finished=True), stopped(ALL_FAILED))
    workers.has("label", failed="why\n")
    workers.is_now("text", "active", 0, {"event": "progress", "done": 0})
    workers.will_be("text", "inactive", 0)
    workers.has("text", output="", results="")
    status, said = workers.follow()
    assert status != 0
    assert said.startswith("cartext-label-1: stopped: reason every image failed")
    assert "go on with" not in said, "a finished run stays finished"
    assert workers.home == {"failed.jsonl": "why\n", "output.txt": "", "results.jsonl": ""}


def test_what_is_read_before_a_permission_goes_is_brought(workers: Workers) -> None:
    workers.is_now("label", "inactive", 0, summary(finished=True))
    workers.is_now("text", "failed", 78, summary(finished=False), stopped(DENIED))
    workers.has("text", output="1.jpg: TAXI\n", results="{}\n")
    status, said = workers.follow()
    assert status != 0
    assert said.startswith(f"cartext-text-1: stopped: reason {DENIED}")
    assert f"run.yml -e run={RUN}" in said
    assert workers.home == {"output.txt": "1.jpg: TAXI\n", "results.jsonl": "{}\n"}


def test_what_is_not_there_yet_does_not_hide_why_it_ended(workers: Workers) -> None:
    workers.is_now("label", "failed", 78, stopped("no bucket 'nobodys'"))
    workers.is_now("text", "active", 0, {"event": "progress", "done": 0})
    status, said = workers.follow()
    assert status != 0
    assert said.startswith("cartext-label-1: stopped: reason no bucket 'nobodys'")
    assert workers.home == {}
