"""Machines that come and go change nothing on those that stay: `site.yml` restarts none of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import ROOT

ANSIBLE = Path(sys.executable).with_name("ansible")
TEMPLATES = ROOT / "ansible/roles/worker/templates"
DEPLOYMENT = {
    "region": "us-east-1",
    "bucket": "photos",
    "prefix": "cars/",
    "queue_url": "https://queue/index",
    "parts_queue_url": "https://queue/parts",
    "ledger": "dynamodb://cartext-ledger",
    "label_sender": "AROAEXAMPLE",
    "quota": 50,
    "budget_dollars": 20,
    "expected_bucket_owner": "",
    "retry_seconds": 60,
    "visibility_timeout_seconds": 120,
}


def settings(folder: Path, *names: str) -> dict[str, str]:
    """What `site.yml` writes down for each of these workers, by its name."""
    folder.mkdir()
    (folder / "group_vars").symlink_to(ROOT / "inventory/group_vars")
    hosts = {
        f"cartext-{name}": {"ansible_connection": "local", "ansible_host": "-"} for name in names
    }
    children = {
        role: {"hosts": {name: host for name, host in hosts.items() if f"-{role}-" in name}}
        for role in ("label", "text")
    }
    inventory = {"all": {"children": {"workers": {"children": children}}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    instances = {name: {"name": f"cartext-{name}"} for name in names}
    more = {
        "ansible_python_interpreter": sys.executable,
        "deployment": {**DEPLOYMENT, "instances": instances},
    }
    where = f"src={TEMPLATES}/worker.env.j2 dest={folder}/{{{{ inventory_hostname }}}}"
    done = subprocess.run(
        [
            *(
                ANSIBLE,
                "workers",
                "--inventory",
                folder / "hosts.json",
                "--module-name",
                "template",
            ),
            *("--args", where, "--extra-vars", json.dumps(more)),
        ],
        cwd=ROOT / "ansible",
        env={**os.environ, "ANSIBLE_INVENTORY_ENABLED": "yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: (folder / f"cartext-{name}").read_text() for name in names}


@pytest.fixture(scope="module")
def pair_and_fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], ...]:
    folder = tmp_path_factory.mktemp("settings")
    pair = ("label-1", "text-1")
    fleet = (*pair, "label-2", "text-2", "text-3")
    return settings(folder / "pair", *pair), settings(folder / "fleet", *fleet)


def test_no_setting_depends_on_how_many_there_are(
    pair_and_fleet: tuple[dict[str, str], ...],
) -> None:
    pair, fleet = pair_and_fleet
    assert fleet.items() > pair.items()
    assert fleet["text-3"] == fleet["text-1"].replace("cartext-text-1", "cartext-text-3")


def test_only_label_workers_know_the_parts_queue(
    pair_and_fleet: tuple[dict[str, str], ...],
) -> None:
    _, fleet = pair_and_fleet
    know = {name for name, told in fleet.items() if "CARTEXT_PARTS_QUEUE_URL" in told}
    assert know == {"label-1", "label-2"}
