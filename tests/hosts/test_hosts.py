"""The mission on booted hosts; the tests build on each other, in the order that they stand in."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.aws.rekognition.service import knobs, reset_counts
from sandbox.aws.server import Fault
from sandbox.hosts.mission import BUCKET
from sandbox.hosts.shell import run
from sandbox.terraform import new_ssh_key
from tests.hosts.conftest import IMAGES, Pair, copy_sources, paid, read_output, repeated_calls, unit

# the hosts are waited for as long as another file's tests have them
pytestmark = pytest.mark.timeout(900, func_only=True)

KEYS = ("label-1", "text-1")
# so that a run can be caught in its middle
IN_FLIGHT = 1
MORE = {"CARTEXT_IN_FLIGHT": IN_FLIGHT, "CARTEXT_PROGRESS_SECONDS": 1}
AS_WORKER = (
    "sudo systemd-run --quiet --pipe --wait --collect --uid=cartext "
    "--property=EnvironmentFile=/etc/cartext/worker.env /opt/cartext/current/bin/cartext"
)
FEW_IN_FLIGHT = ("-e", json.dumps({"more_settings": MORE}))


# --- order check, converge, converge again, verify -----------------------------------------------


def test_order_check_passes_on_a_bare_host_and_changes_nothing(pair: Pair) -> None:
    pair.site("--check", "--diff")
    assert pair.ssh("text-1", "ls -d /opt/cartext /etc/cartext 2>/dev/null", check=False) == ""


@pytest.mark.prerequisite
def test_converges(pair: Pair) -> None:
    assert pair.site(*FEW_IN_FLIGHT).changed > 0


def test_second_run_changes_nothing(pair: Pair) -> None:
    assert pair.site(*FEW_IN_FLIGHT).changed == 0


@pytest.mark.parametrize("key", KEYS)
def test_unit_is_enabled_and_waits_for_a_run(pair: Pair, key: str) -> None:
    assert pair.ssh(key, f"systemctl is-enabled {unit(key)}").strip() == "enabled"
    assert pair.ssh(key, "systemctl is-system-running").strip() == "running"
    assert pair.is_idle(key)
    assert "run.env was not met" in pair.ssh(key, f"systemctl status {unit(key)}", check=False)


@pytest.mark.parametrize("key", KEYS)
def test_unit_is_hardened(pair: Pair, key: str) -> None:
    analysis = pair.ssh(key, f"systemd-analyze security --no-pager {unit(key)} | tail -n 1")
    exposure = re.search(r"(\d+\.\d+)", analysis)
    assert exposure and float(exposure[1]) <= 1.5, analysis


@pytest.mark.parametrize("key", KEYS)
def test_worker_has_a_user_of_its_own_that_owns_no_code_and_no_settings(
    pair: Pair, key: str
) -> None:
    user, _, _, _, _, home, shell = pair.ssh(key, "getent passwd cartext").strip().split(":")
    assert (user, home, shell) == ("cartext", "/nonexistent", "/usr/sbin/nologin")
    writable = "sudo -u cartext find /opt/cartext /etc/cartext /etc/systemd/system -writable"
    # links are always "writable"; what counts is the folder they are in
    assert pair.ssh(key, f"{writable} -not -type l") == ""


@pytest.mark.parametrize("key", KEYS)
def test_journal_lasts_and_is_bounded(pair: Pair, key: str) -> None:
    settings = pair.ssh(key, "cat /etc/systemd/journald.conf.d/10-cartext.conf")
    assert "Storage=persistent" in settings
    assert "SystemMaxUse=500M" in settings
    assert pair.ssh(key, "ls /var/log/journal/$(cat /etc/machine-id)/system.journal")


@pytest.mark.parametrize("key", KEYS)
def test_volume_of_terraform_is_mounted_by_label(pair: Pair, key: str) -> None:
    volume = pair.outputs["instances"][key]["data_volume_id"].replace("-", "")
    disk = pair.ssh(key, f"realpath /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume}")
    mounted = pair.ssh(key, "findmnt --noheadings --output SOURCE,OPTIONS /var/lib/cartext")
    source, options = mounted.split()
    assert source == disk.strip()
    assert pair.ssh(key, f"sudo blkid -o value -s LABEL {source}").strip() == "cartext"
    assert {"noexec", "nosuid", "nodev"} <= set(options.split(","))
    assert "What=LABEL=cartext" in pair.ssh(key, "cat /etc/systemd/system/var-lib-cartext.mount")
    assert pair.ssh(key, "stat --format %U:%G:%a /var/lib/cartext").strip() == "root:cartext:1770"


@pytest.mark.parametrize("key", KEYS)
def test_no_secret_in_any_file(pair: Pair, key: str) -> None:
    searched = "/etc/cartext /etc/systemd /opt/cartext /var/lib/cartext /home /root"
    secrets = "'AKIA[A-Z0-9]{16}|ASIA[A-Z0-9]{16}|aws_secret|SECRET_ACCESS_KEY=|PRIVATE KEY-----'"
    found = pair.ssh(
        key,
        f"sudo grep -rIlE {secrets} {searched} --include='*' --exclude-dir=site-packages",
        check=False,
    )
    assert found == ""


# --- the mission -------------------------------------------------------------------------------


@pytest.mark.prerequisite
def test_mission_finds_what_was_drawn(pair: Pair) -> None:
    reset_counts()
    played = pair.run("first")
    assert read_output(pair.output("first")) == pair.truth()
    assert "run first: done" in played.output
    assert repeated_calls() == 0


def test_results_are_of_the_same_images_and_say_more(pair: Pair) -> None:
    lines = (pair.runs / "first" / "results.jsonl").read_text().splitlines()
    cars = {sample.index for sample in pair.samples if sample.truth.car}
    assert {json.loads(line)["index"] for line in lines} == cars


def test_report_has_the_pictures(pair: Pair) -> None:
    page = (pair.runs / "first" / "report.html").read_text(encoding="utf-8")
    car = next(sample for sample in pair.samples if sample.truth.car and sample.truth.text)
    assert car.truth.text[0] in page
    assert page.count("/9j/") >= 1, "no JPEG is embedded"


def test_finished_run_shows_its_plan_says_so_and_changes_nothing(pair: Pair) -> None:
    reset_counts()
    played = pair.run("first")
    assert "run first: was finished already" in played.output
    plan, start = (
        re.search(rf"images +{IMAGES}", played.output),
        played.output.index("TASK [Start it]"),
    )
    assert plan and plan.start() < start
    assert played.changed == 0
    assert not any(paid().values())


def answers_of(pair: Pair, run: str) -> Counter[tuple[str, str]]:
    """How many answers of each kind each role's file has that was brought home with the run."""
    files = {role: pair.runs / run / f"answers-{role}.jsonl.gz" for role in ("label", "text")}
    return Counter(
        (role, json.loads(line)["kind"])
        for role, file in files.items()
        for line in gzip.decompress(file.read_bytes()).splitlines()
    )


@pytest.mark.prerequisite
def test_answers_are_brought_home(pair: Pair) -> None:
    played = pair.play("fetch.yml", "-e", "run=first", "-e", "answers=true")
    assert played.status == 0, played.output
    cars = sum(bool(sample.truth.car) for sample in pair.samples)
    assert answers_of(pair, "first") == {("label", "labels"): IMAGES, ("text", "text"): cars}
    for key in KEYS:
        assert "answers" not in pair.ssh(key, "ls -A /var/lib/cartext")


@pytest.mark.slow
def test_answers_that_are_taken_along_are_not_paid_for_again(pair: Pair) -> None:
    """Both workers are as new, but for the answers."""
    there, aside = "/var/lib/cartext/ledger.sqlite3*", "/var/lib/cartext/aside"
    for key in KEYS:
        pair.ssh(key, f"sudo sh -c 'mkdir {aside} && mv {there} {aside}'")
    reset_counts()
    try:
        pair.run("carried", "-e", f"import_answers={pair.runs / 'first'}")
        again = pair.run("carried", "-e", f"import_answers={pair.runs / 'first'}")
        owners = {pair.ssh(key, f"stat --format %U {there}").split()[0] for key in KEYS}
    finally:
        for key in KEYS:
            pair.ssh(key, f"sudo sh -c 'rm {there}; mv {aside}/* /var/lib/cartext; rmdir {aside}'")
    assert not any(paid().values())
    assert pair.output("carried") == pair.output("first")
    assert again.changed == 0
    assert owners == {"cartext"}
    for key in KEYS:
        assert "answers" not in pair.ssh(key, "ls -A /var/lib/cartext")


@pytest.mark.parametrize("key", KEYS)
def test_login_user_reads_the_log_over_ssh(pair: Pair, key: str) -> None:
    command = pair.outputs["log_commands"][key]
    assert command.endswith(f"journalctl -fu {unit(key)}")
    log = pair.ssh(key, f"journalctl --output=cat -u {unit(key)}")
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    summary = next(event for event in events if event["event"] == "summary")
    assert summary["run"] == "first"
    assert summary["worker"] == f"cartext-{key}"


@pytest.mark.parametrize("key", KEYS)
def test_credentials_come_from_the_instance_role(pair: Pair, key: str) -> None:
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    settings = "set -a; . /etc/cartext/worker.env"
    script = f'{settings}; /opt/cartext/current/bin/python -c "{ask}"'
    arn = pair.ssh(key, f"sudo -u cartext sh -c {shlex.quote(script)}")
    assert f":assumed-role/cartext-{key.partition('-')[0]}-" in arn
    assert pair.outputs["instances"][key]["id"] in arn


# --- disasters ---------------------------------------------------------------------------------


@contextmanager
def under_way(pair: Pair, run: str, latency_seconds: float) -> Iterator[None]:
    """A run is in its middle, and nobody follows it; after the block its end is waited for."""
    pair.forget()
    reset_counts()
    knobs.latency_seconds = latency_seconds
    follower = pair.start(run)

    def in_the_middle() -> bool:
        done = [event["done"] for event in pair.events("label-1", run, "progress")]
        return bool(done) and 2 <= done[-1] < len(pair.samples)

    try:
        pair.wait_until("the middle of the run", in_the_middle)
    finally:
        print(follower.interrupt().output)  # noqa: T201 - shown with a failure
    yield
    knobs.latency_seconds = 0.0
    for key in KEYS:
        pair.wait_until(f"the end of {key}", lambda key=key: pair.is_idle(key))


def test_power_cut_in_mid_run_loses_nothing(pair: Pair) -> None:
    with under_way(pair, "cut", latency_seconds=2):
        for key in KEYS:
            pair.hosts.power_cut(f"cartext-{key}")
        # nobody starts anything but the machines: the run goes on by itself
        for key in KEYS:
            pair.hosts.power_on(f"cartext-{key}")
    assert 0 < pair.events("label-1", "cut", "start")[-1]["decided_before"] < IMAGES
    assert pair.output_on_volume("cut") == pair.output("first")
    assert repeated_calls() <= len(KEYS) * IN_FLIGHT


@pytest.mark.slow
def test_replaced_instance_keeps_its_volume_and_goes_on(pair: Pair) -> None:
    before, number = pair.outputs["instances"]["text-1"], pair.ssh("text-1", "id -u cartext")
    with under_way(pair, "replaced", latency_seconds=2):
        pair.apply('-replace=aws_instance.worker["text-1"]')
        after = pair.outputs["instances"]["text-1"]
        assert after["id"] != before["id"]
        assert after["data_volume_id"] == before["data_volume_id"]
        # a newer image has another user more: the workers' number is taken
        root = pair.hosts.guest("cartext-text-1").root
        run("useradd", "--root", root, "--system", "--user-group", "somebody")
        pair.site(*FEW_IN_FLIGHT)
        assert pair.ssh("text-1", "id -u cartext") != number
    assert pair.output_on_volume("replaced") == pair.output("first")
    assert pair.output_on_volume("first") == pair.output("first")
    assert repeated_calls() == 0


@pytest.fixture
def edited_checkout(pair: Pair, tmp_path: Path) -> Path:
    """A copy of what is installed, with an edit in it."""
    copy_sources(pair.checkout, tmp_path)
    with (tmp_path / "workers" / "__init__.py").open("a") as file:
        file.write("# edited\n")
    return tmp_path


@pytest.mark.slow
def test_new_version_rolls_out_in_mid_run_and_nothing_is_paid_for_twice(
    pair: Pair, edited_checkout: Path
) -> None:
    old = pair.ssh("label-1", "readlink /opt/cartext/current")
    with under_way(pair, "rolled", latency_seconds=6):
        # the run is not to end before the new version is there, however slow this machine is
        knobs.latency_seconds = 15
        pair.site(*FEW_IN_FLIGHT, checkout=edited_checkout)
    assert 0 < pair.events("label-1", "rolled", "start")[-1]["decided_before"] < IMAGES
    new, link = sorted(pair.ssh("label-1", "ls /opt/cartext").split())
    assert link == "current"
    assert pair.ssh("label-1", "readlink /opt/cartext/current").strip() == new != old.strip()
    assert pair.output_on_volume("rolled") == pair.output("first")
    assert repeated_calls() == 0


@pytest.mark.slow
def test_stop_drains_and_the_run_goes_on_later(pair: Pair) -> None:
    with under_way(pair, "stopped", latency_seconds=4):
        assert pair.play("stop.yml").status == 0
        assert all(pair.is_idle(key) for key in KEYS)
    assert pair.events("label-1", "stopped", "summary")[-1]["done"] < IMAGES
    pair.run("stopped")
    assert pair.output("stopped") == pair.output("first")
    assert repeated_calls() == 0


@pytest.mark.slow
def test_an_old_run_is_forgotten_and_what_was_brought_home_stays(pair: Pair) -> None:
    pair.run("newest")
    refused = pair.play("forget.yml", "-e", "run=newest")
    assert "newest is the run of these machines" in refused.output
    assert pair.play("forget.yml", "-e", "run=first").changed == 2 * len(KEYS)
    for key in KEYS:
        kept = pair.ssh(key, f"sudo ls /var/lib/cartext; {AS_WORKER} runs").split()
        assert "newest" in kept
        assert "first" not in kept
    assert pair.output("first") == pair.output("newest")
    again = pair.play("forget.yml", "-e", "run=first")
    assert (again.status, again.changed) == (0, 0)


@pytest.mark.slow
def test_half_done_install_is_done_again(pair: Pair) -> None:
    pair.ssh("text-1", "sudo rm -r /opt/cartext/current/installed /opt/cartext/current/lib")
    pair.site(*FEW_IN_FLIGHT, "--limit", "localhost,cartext-text-1")
    assert "usage" in pair.ssh("text-1", "/opt/cartext/current/bin/cartext --help")


@pytest.mark.slow
def test_update_drains_boots_and_goes_on(pair: Pair) -> None:
    boots = {key: pair.ssh(key, "systemctl show --value -p UserspaceTimestamp") for key in KEYS}
    update = Path(__file__).with_name("update_nothing.yml")
    with under_way(pair, "updated", latency_seconds=4):
        played = pair.play("update.yml", "-e", f"system_update={update}")
        assert played.status == 0, played.output
    for key in KEYS:
        assert pair.ssh(key, "systemctl show --value -p UserspaceTimestamp") != boots[key]
    assert pair.output_on_volume("updated") == pair.output("first")
    assert repeated_calls() == 0


CAP_SYS_RESOURCE = 24


def has_capability(number: int) -> bool:
    """Whether this machine's kernel lets us have it."""
    (mask,) = re.findall(r"^CapBnd:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> number & 1)


@pytest.mark.skipif(
    not has_capability(CAP_SYS_RESOURCE),
    reason="without CAP_SYS_RESOURCE no mounted file system grows on this machine",
)
@pytest.mark.slow
def test_enlarged_volume_grows_its_file_system(pair: Pair) -> None:
    pair.apply(data_volume_size_gib=2)
    assert pair.site(*FEW_IN_FLIGHT).changed == len(KEYS)
    for key in KEYS:
        size = pair.ssh(key, "df --output=size --block-size=1M /var/lib/cartext | tail -n 1")
        assert int(size) > 1900
    assert pair.output_on_volume("first") == pair.output("first")


@pytest.mark.slow
def test_changed_key_gets_to_the_hosts_and_the_old_one_goes(pair: Pair, tmp_path: Path) -> None:
    old = pair.stack.variables["public_key"]
    new_key, new = new_ssh_key(tmp_path)
    pair.apply(public_key=new)
    pair.site(*FEW_IN_FLIGHT)
    by_new_key = ("-e", f"ansible_ssh_private_key_file={new_key}")
    try:
        assert pair.play("logs.yml", ANSIBLE_SSH_ARGS="-o ControlMaster=no").status != 0
        assert pair.play("logs.yml", *by_new_key).status == 0
    finally:
        pair.apply(public_key=old)
        pair.site(*FEW_IN_FLIGHT, *by_new_key)


# --- misconfiguration says what is wrong, and ends ---------------------------------------------


def wrong(pair: Pair, playbook: str, *arguments: str, **environment: str) -> str:
    """The one complaint of a playbook that has to fail."""
    played = pair.play(playbook, *arguments, **environment)
    assert played.status != 0, played.output
    assert played.complaints, played.output
    return played.complaints[-1]


@pytest.mark.slow
def test_wrong_bucket(pair: Pair) -> None:
    settings = "/etc/cartext/worker.env"
    pair.ssh("label-1", f"sudo sed -i.right s/{BUCKET}/no-such-bucket/ {settings}")
    try:
        complaint = wrong(pair, "run.yml", "-e", "run=wrong-bucket")
    finally:
        pair.ssh("label-1", f"sudo mv {settings}.right {settings}")
    assert "no-such-bucket" in complaint
    assert "run.yml -e run=wrong-bucket" in complaint
    assert pair.play("stop.yml").status == 0


@pytest.mark.slow
def test_run_over_the_budget(pair: Pair) -> None:
    pair.forget()
    pair.apply(budget_dollars=0.001)
    try:
        complaint = wrong(pair, "run.yml", "-e", "run=dear")
    finally:
        pair.apply(budget_dollars=20)
    assert "more than the budget" in complaint
    assert "budget_dollars = 1 into" in complaint
    assert all(pair.is_idle(key) for key in KEYS)


@pytest.mark.slow
def test_missing_queue_permission(pair: Pair) -> None:
    pair.hosts.sandbox.faults.append(Fault(r"SQS\.SendMessage", "AccessDenied", 403))
    try:
        complaint = wrong(pair, "run.yml", "-e", "run=no-permission")
    finally:
        pair.hosts.sandbox.faults.clear()
    assert "SendMessage" in complaint
    assert "permission" in complaint
    assert pair.play("stop.yml").status == 0


@pytest.mark.slow
def test_every_image_fails(pair: Pair) -> None:
    pair.forget()
    refused = Fault("Rekognition.DetectLabels", "InvalidImageFormatException", 400)
    pair.hosts.sandbox.faults.append(refused)
    try:
        complaint = wrong(pair, "run.yml", "-e", "run=in-vain")
    finally:
        pair.hosts.sandbox.faults.clear()
    assert "every image failed" in complaint
    failed = (pair.runs / "in-vain" / "failed.jsonl").read_text().splitlines()
    assert len(failed) == IMAGES
    assert pair.output("in-vain") == ""


@pytest.mark.slow
def test_full_data_volume(pair: Pair) -> None:
    filler = "/var/lib/cartext/filler"
    free = "$(($(df --output=avail -B1 /var/lib/cartext | tail -n 1) - 4194304))"
    pair.ssh("text-1", f"sudo fallocate -l {free} {filler}-1")
    pair.ssh("text-1", f"sudo dd if=/dev/zero of={filler}-2 bs=4k status=none || true")
    try:
        complaint = wrong(pair, "run.yml", "-e", "run=full")
    finally:
        pair.ssh("text-1", f"sudo rm {filler}-1 {filler}-2")
    assert re.search("No space left|disk is full", complaint), complaint
    pair.run("full")
    assert pair.output("full") == pair.output("first")


@pytest.mark.slow
def test_unreachable_host(pair: Pair) -> None:
    pair.hosts.power_cut("cartext-text-1")
    try:
        complaint = wrong(pair, "site.yml", "-e", "reachable_seconds=5")
    finally:
        pair.hosts.power_on("cartext-text-1")
    assert "cartext-text-1" in complaint
    assert "does not let us in by ssh" in complaint


def test_empty_inventory(pair: Pair) -> None:
    complaint = wrong(pair, "site.yml", CARTEXT_PROJECT="nothing-of-that-name")
    assert "cartext-label-1, cartext-text-1" in complaint
    assert "CARTEXT_PROJECT" in complaint


@pytest.mark.slow
def test_changed_host_key_is_fatal(pair: Pair) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    anew = f"sudo rm {key} {key}.pub && sudo ssh-keygen -q -t ed25519 -N '' -f {key}"
    pair.ssh("text-1", f"{anew} && sudo systemctl restart ssh")
    # a connection of before, which is still open, would not notice
    played = pair.play(
        *("site.yml", "-e", "reachable_seconds=8", "--limit", "localhost,cartext-text-1"),
        ANSIBLE_SSH_ARGS="-o ControlMaster=no",
    )
    assert played.status != 0
    assert "cartext-text-1" in played.complaints[-1]
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in played.complaints[-1]
