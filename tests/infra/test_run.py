"""However a run ends, what there is of it comes home before `run.yml` says how it ended.

And whoever of a fleet goes before the end is not missed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox import ROOT
from sandbox.aws.server import REGION, Sandbox

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN = "monday"
# what a host answers: first the unit's state of this look, from then on the next one's
SYSTEMCTL = """#!/bin/sh
host={folder}/$CARTEXT_HOST
echo "$1" >>$host.asked
cat $host.state || {{ mv $host.next $host.state; exit 1; }}
test ! -e $host.last || exec rm $host.state $host.last
test ! -e $host.next || mv $host.next $host.state
"""
# several hosts are one machine here
PYTHON = """#!/bin/sh
CARTEXT_HOST={host} exec {python} "$@"
"""
# what ssh is on the controller: it does not come through as often as the file has lines
SSH = """#!/bin/sh
for command; do :; done
test "$command" != {host} || exit 1
test ! -s {silence} || {{ sed -i 1d {silence}; exit 255; }}
exec sh -c "$command"
"""
JOURNALCTL = """#!/bin/sh
for last; do :; done
cat {folder}/${{last#_SYSTEMD_INVOCATION_ID=}}.log
"""


@dataclass
class Workers:
    """Label workers and text workers, as their hosts show them to `run.yml`."""

    folder: Path
    names: tuple[str, ...] = ("label-1", "text-1")
    ids: tuple[str, ...] = ("i-1", "i-2")
    aws: dict[str, str] = field(default_factory=dict)
    taken: tuple[str, ...] = ()

    def begin(self) -> None:
        """Makes the hosts."""
        for name, script in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            self._program(name, script.format(folder=self.folder))
        (self.folder / "group_vars").symlink_to(ROOT / "inventory/group_vars")
        self.hosts = {
            name: self._host(name, instance)
            for name, instance in zip(self.names, self.ids, strict=True)
        }

    def _host(self, name: str, instance: str) -> dict[str, object]:
        python = self._program(name, PYTHON.format(host=name, python=sys.executable))
        return {
            "ansible_connection": "local",
            "ansible_host": "-",
            "ansible_become": False,
            "ansible_python_interpreter": str(python),
            "ec2_instance_id": instance,
            "state_dir": str(self.folder / name),
            # as `start.yml` leaves it
            "worker": {"longer": 0, "unit": f"cartext-{role_of(name)}", "outcome": "none"},
        }

    def _program(self, name: str, script: str) -> Path:
        program = self.folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
        return program

    def is_now(self, name: str, state: str, status: int, *events: dict[str, object]) -> None:
        """The unit's state (`active`, `inactive`, `failed`), its exit status, what it logged."""
        self._state(name, "state", state, status)
        (self.folder / f"{name}.log").write_text("".join(json.dumps(e) + "\n" for e in events))

    def will_be(self, name: str, state: str, status: int) -> None:
        """The unit's state at the next look."""
        self._state(name, "next", state, status)

    def is_not_reached(self, name: str) -> None:
        """Nothing listens where ssh goes."""
        self.hosts[name] |= {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        }

    def is_silent_for(self, name: str, times: int) -> None:
        """So often ssh does not come through, as when the controller's network is away."""
        silence = self.folder / f"{name}.silence"
        silence.write_text("\n" * times)
        ssh = self._program(f"ssh-{name}", SSH.format(host=name, silence=silence))
        self.hosts[name] |= {
            "ansible_connection": "ssh",
            "ansible_host": name,
            "ansible_ssh_executable": str(ssh),
        }

    def answers_no_more(self, name: str) -> None:
        """The next look is the last one that comes through, if not `will_be` says what follows."""
        (self.folder / f"{name}.last").touch()

    def _state(self, name: str, suffix: str, state: str, status: int) -> None:
        told = {"LoadState": "loaded", "ActiveState": state, "InvocationID": name}
        told |= {"ExecMainCode": "1", "ExecMainStatus": str(status)}
        lines = [f"{name}={value}" for name, value in told.items()]
        (self.folder / f"{name}.{suffix}").write_text("\n".join(lines) + "\n")

    def has(self, name: str, **files: str) -> None:
        """Files of the run on the worker's disk, by their names without the suffix."""
        suffixes = {"output": "txt"}
        for file, text in files.items():
            path = self.folder / name / RUN / f"{file}.{suffixes.get(file, 'jsonl')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def plan(self, *says: str) -> tuple[int, str]:
        """Plays `run.yml` from its plan, of which this comes on standard error."""
        lines = "".join(f"echo '{line}' >&2\n" for line in says)
        asked = self._program(
            "asked", f'#!/bin/sh\necho "$@" >{self.folder}/plan\n{lines}exit 78\n'
        )
        more = json.dumps({"as_worker": [str(asked)]})
        return self._play("run.yml", "List the bucket, and look for answers", "-e", more)

    def ask(self) -> tuple[int, str]:
        """Plays `run.yml` from where the workers are asked what they need."""
        return self._play("run.yml", "Ask")

    def follow(self) -> tuple[int, str]:
        """Plays `run.yml` from where the run is started; its status and its last line."""
        return self._play("run.yml", "Follow it")

    def fetch(self, run: str = RUN) -> tuple[int, str]:
        """Plays `fetch.yml`; its status and its last line."""
        return self._play("fetch.yml", "See which runs there are", "--extra-vars", f"run={run}")

    def update(self, tasks: str) -> tuple[int, str]:
        """Plays `update.yml` with these tasks as the system's update."""
        path = self.folder / "update.yml"
        path.write_text(tasks)
        return self._play("update.yml", "Drain and stop", "-e", f"system_update={path}")

    def _play(self, playbook: str, first_task: str, *arguments: str) -> tuple[int, str]:
        groups: dict[str, dict[str, object]] = {}
        for name, host in self.hosts.items():
            groups.setdefault(role_of(name), {})[f"cartext-{name}"] = host
        children = {role: {"hosts": hosts} for role, hosts in groups.items()}
        inventory = {"all": {"children": {"workers": {"children": children}}}}
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        instances = {name: {"name": f"cartext-{name}"} for name in self.names}
        deployment = {
            **{"instances": instances, "region": REGION, "bucket": "photos"},
            "budget_dollars": 20,
        }
        more = {
            "runs_dir": str(self.folder / "runs"),
            "deployment": deployment,
            "terraform_outputs": deployment,
            **({"run_name": RUN} if playbook == "run.yml" else {}),
        }
        done = subprocess.run(
            [
                *(ANSIBLE_PLAYBOOK, playbook, "--inventory", self.folder / "hosts.json"),
                *("--start-at-task", first_task, "--extra-vars", json.dumps(more)),
                *arguments,
            ],
            cwd=ROOT / "ansible",
            env={
                **os.environ,
                **self.aws,
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "ANSIBLE_INVENTORY_ENABLED": "yaml",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout, done.stderr)  # noqa: T201 - shown with a failure
        self.said = done.stdout
        return done.returncode, done.stdout.splitlines()[-1]

    @property
    def home(self) -> dict[str, str]:
        """The files that came home."""
        home = self.folder / "runs" / RUN
        files = (path for path in home.rglob("*") if path.is_file())
        return {str(path.relative_to(home)): path.read_text() for path in files}


def role_of(name: str) -> str:
    return name.partition("-")[0]


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
    workers.is_now("label-1", "failed", 78, summary(finished=True), stopped(ALL_FAILED))
    workers.has("label-1", failed="why\n")
    workers.is_now("text-1", "active", 0, {"event": "progress", "done": 0})
    workers.will_be("text-1", "inactive", 0)
    workers.has("text-1", output="", results="")
    status, said = workers.follow()
    assert status != 0
    assert said.startswith("cartext-label-1: stopped: reason every image failed")
    assert "go on with" not in said, "a finished run stays finished"
    assert workers.home == {"failed.jsonl": "why\n", "output.txt": "", "results.jsonl": ""}


def test_what_is_read_before_a_permission_goes_is_brought(workers: Workers) -> None:
    workers.is_now("label-1", "inactive", 0, summary(finished=True))
    workers.is_now("text-1", "failed", 78, summary(finished=False), stopped(DENIED))
    workers.has("text-1", output="1.jpg: TAXI\n", results="{}\n")
    status, said = workers.follow()
    assert status != 0
    assert said.startswith(f"cartext-text-1: stopped: reason {DENIED}")
    assert f"run.yml -e run={RUN}" in said
    assert workers.home == {"output.txt": "1.jpg: TAXI\n", "results.jsonl": "{}\n"}


def test_over_the_budget_the_topic_is_told_and_a_person_how_to_raise_it(workers: Workers) -> None:
    status, said = workers.plan(
        json.dumps({"event": "told", "subject": "cartext: over its budget; run monday"}),
        "cartext plan: run monday may cost $1,234.50, more than the budget of $20.00; raise …",
    )
    assert status != 0
    assert said.startswith("cartext-label-1: cartext plan: run monday may cost $1,234.50, more")
    assert "budget_dollars = 1235 into" in said
    assert "--tell" in (workers.folder / "plan").read_text().split()


def test_what_keeps_a_run_from_its_start_is_said_last(workers: Workers) -> None:
    for name in workers.names:
        workers.is_not_reached(name)
        del workers.hosts[name]["worker"]
    status, said = workers.ask()
    assert status != 0
    assert "text worker" not in said
    assert "can be reached" in said


def test_what_is_not_there_yet_does_not_hide_why_it_ended(workers: Workers) -> None:
    workers.is_now("label-1", "failed", 78, stopped("no bucket 'nobodys'"))
    workers.is_now("text-1", "active", 0, {"event": "progress", "done": 0})
    status, said = workers.follow()
    assert status != 0
    assert said.startswith("cartext-label-1: stopped: reason no bucket 'nobodys'")
    assert workers.home == {}


Known = Callable[..., Workers]


@pytest.fixture
def known(tmp_path: Path, sandbox: Sandbox) -> Iterator[Known]:
    """Makes workers whose instances AWS knows: as few as it takes, each of them costs seconds."""
    ec2, made = sandbox.client("ec2"), list[Workers]()

    def make(*names: str) -> Workers:
        instances = ec2.run_instances(MinCount=len(names), MaxCount=len(names))["Instances"]
        ids = tuple(instance["InstanceId"] for instance in instances)
        workers = Workers(tmp_path, names, ids, sandbox.environment())
        made.append(workers)
        workers.begin()
        for name in names:
            workers.is_now(name, "active", 0, {"event": "progress", "done": 1})
            workers.will_be(name, "inactive", 0)
            if role_of(name) == "text":
                workers.has(name, output="1.jpg: TAXI\n", results="{}\n")
        return workers

    yield make
    left = [each for workers in made for each in workers.ids if each not in workers.taken]
    ec2.terminate_instances(InstanceIds=left)


def test_those_that_are_taken_away_or_answer_no_more_are_not_missed(
    known: Known, sandbox: Sandbox
) -> None:
    """One in mid-run; without power the other is still running, to AWS."""
    fleet = known("label-1", "label-2", "text-1", "text-2")
    fleet.taken = (fleet.ids[3],)
    sandbox.client("ec2").terminate_instances(InstanceIds=fleet.taken)
    (fleet.folder / "text-2.next").unlink()
    fleet.answers_no_more("text-2")
    fleet.is_not_reached("label-2")
    status, _ = fleet.follow()
    assert status == 0
    assert "cartext-text-2 has been stopped or taken away" in fleet.said
    assert "cartext-label-2 does not answer" in fleet.said
    assert fleet.home == {
        "cartext-text-1/output.txt": "1.jpg: TAXI\n",
        "cartext-text-1/results.jsonl": "{}\n",
    }


def test_one_that_boots_is_waited_for(known: Known) -> None:
    """As `update.yml` does, one after the other."""
    fleet = known("label-1", "text-1", "text-2")
    for name in ("text-1", "text-2"):
        fleet.is_now(name, "active", 0)
    fleet.answers_no_more("text-2")
    status, _ = fleet.follow()
    assert status == 0
    assert "cartext-text-2 does not answer" in fleet.said
    assert "cartext-text-2/output.txt" in fleet.home


def test_a_break_of_the_controllers_own_network_ends_nothing(known: Known) -> None:
    pair = known("label-1", "text-1")
    pair.is_silent_for("label-1", 1)
    pair.is_silent_for("text-1", 2)
    status, _ = pair.follow()
    assert status == 0
    assert "still at work" not in pair.said
    assert set(pair.home) == {"output.txt", "results.jsonl"}


def test_nor_does_one_when_the_label_workers_are_done(known: Known) -> None:
    pair = known("label-1", "text-1")
    pair.is_now("label-1", "inactive", 0, summary(finished=True))
    pair.is_silent_for("text-1", 1)
    status, _ = pair.follow()
    assert status == 0
    assert "still at work" not in pair.said
    assert set(pair.home) == {"output.txt", "results.jsonl"}


def test_what_is_wrong_with_one_is_said_when_the_others_are_done(known: Known) -> None:
    fleet = known("label-1", "label-2", "text-1")
    fleet.is_now("label-2", "failed", 78, stopped(DENIED))
    (fleet.folder / "label-2.next").unlink()
    status, said = fleet.follow()
    assert status != 0
    assert said.startswith(f"cartext-label-2: stopped: reason {DENIED}")
    assert set(fleet.home) == {"output.txt", "results.jsonl"}


def test_without_a_text_worker_no_run_is_finished(known: Known, sandbox: Sandbox) -> None:
    pair = known("label-1", "text-1")
    sandbox.client("ec2").stop_instances(InstanceIds=pair.ids[1:])
    pair.is_not_reached("text-1")
    status, said = pair.follow()
    assert status != 0
    assert said.startswith(f"run {RUN} has no text worker any more")


def test_what_a_machine_that_came_later_does_not_have_is_not_asked_of_it(known: Known) -> None:
    fleet = known("label-1", "text-1", "text-2")
    shutil.rmtree(fleet.folder / "text-2" / RUN)
    status, _ = fleet.fetch()
    assert status == 0
    assert set(fleet.home) == {"cartext-text-1/output.txt", "cartext-text-1/results.jsonl"}


def test_a_run_that_nobody_has_is_said(known: Known) -> None:
    status, said = known("label-1", "text-1").fetch("tuesday")
    assert status != 0
    assert f"no text worker has a run tuesday; there are {RUN}" in said


NO_UPDATE = """
- name: Ask for updates
  ansible.builtin.fail:
    msg: the mirror does not answer
"""


def test_without_an_update_the_worker_goes_on_all_the_same(workers: Workers) -> None:
    for name in workers.names:
        workers.is_now(name, "active", 0)
        workers.will_be(name, "inactive", 0)
    status, said = workers.update(NO_UPDATE)
    assert status != 0
    assert said == "cartext-label-1: the mirror does not answer"
    asked = (workers.folder / "label-1.asked").read_text().split()
    assert asked == ["show", "stop", "show", "start"]
    assert not (workers.folder / "text-1.asked").exists(), "one host after the other"
