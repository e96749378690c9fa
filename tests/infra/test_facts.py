"""What Terraform, Ansible and the documents take for a fact, compared with where it comes from."""

from __future__ import annotations

import ast
import importlib.util
import json
import re

import botocore.session
import pytest
from ansible.module_utils import basic
from botocore.awsrequest import AWSPreparedRequest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from sandbox import ROOT
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.aws.regions import rekognition_regions
from workers.index_queue.queue import IndexQueue
from workers.settings import Settings
from workers.threads.stop import Stop

# an include in itself, more often than this: "maximum recursion depth exceeded"
NESTED_BY_ANSIBLE = 245
AMAZON_LINUX_PYTHON = (3, 9)  # /usr/bin/python3 of Amazon Linux 2023, which is Ansible's there
# a region in each partition that a stranger can have an account in
PARTITIONS_OF = ("us-east-1", "us-gov-west-1")
AWS_PAGE = (ROOT / "docs/aws.md").read_text()


def test_the_regions_with_rekognition_are_the_workers() -> None:
    session = botocore.session.get_session()
    known = {
        region
        for partition_of in PARTITIONS_OF
        for region in rekognition_regions(session, partition_of)
    }
    listed = re.search(
        r"rekognition_regions = \[(.*?)\]", (ROOT / "terraform/locals.tf").read_text(), re.DOTALL
    )
    assert listed
    assert re.findall(r'"([^"]+)"', listed[1]) == sorted(known)


def test_alarms_may_be_looked_at_as_cloudwatch_judges_it() -> None:
    """It asks for the permission on `alarm:*`, which a pattern of names does not allow.

    https://github.com/aws-samples/amazon-cloudwatch-auto-alarms/issues/1
    """
    policy = json.loads((ROOT / "docs/apply-policy.json").read_text())
    (statement,) = (s for s in policy["Statement"] if "cloudwatch:DescribeAlarms" in s["Action"])
    assert statement["Resource"] == "*"


def test_what_s3_says_of_a_bucket_elsewhere_is_named_where_terraform_shows_it() -> None:
    """In us-east-1 the provider asks S3's global endpoint, which says it in another way."""
    line = next(
        line
        for line in (ROOT / "terraform/storage.tf").read_text().splitlines()
        if "aws_s3_objects" in line
    )
    for code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
        assert code in line
        assert f"`{code}`" in AWS_PAGE


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of docs/aws.md, without its own two lines."""
    table = re.search(rf"^#+ {heading}$.*?(^\|.*?)^[^|]", AWS_PAGE, re.DOTALL | re.MULTILINE)
    assert table, heading
    lines = table[1].strip().splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", rows("Which machine for which images"), ids=lambda row: row[0])
def test_what_a_type_moves_is_what_ec2_says(row: list[str]) -> None:
    """moto's types are those that EC2's DescribeInstanceTypes has answered."""
    name, gigabits, megabytes, *images = row
    (card,) = INSTANCE_TYPES[name]["NetworkInfo"]["NetworkCards"]
    baseline = card["BaselineBandwidthInGbps"]
    assert float(gigabits) == baseline
    assert float(megabytes) == round(baseline * 1000 / 8)
    # what goes to Rekognition is a third longer than the image: base64
    rates = [baseline * 1000 / 8 / (size * 4 / 3) for size in (0.25, 1, 4)]
    assert [int(cell) for cell in images] == [int(rate) for rate in rates]


def number_of_idle_alarm(name: str) -> int:
    """A number of the alarm that stops a machine."""
    alarm = (ROOT / "terraform/observability.tf").read_text().partition('"idle"')[2]
    found = re.search(rf"^  {name} += (\d+)", alarm, re.MULTILINE)
    assert found
    return int(found[1])


class MeasuredError(Exception):
    """Ends a request before it is sent, with its bytes."""


def measure(request: AWSPreparedRequest, **_: object) -> None:
    headers = sum(len(f"{name}: {value}") for name, value in request.headers.items())
    raise MeasuredError(headers + len(request.body))


def test_a_worker_that_only_waits_sends_too_much_to_be_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even without what a role's session, TLS and TCP add to each request."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    queue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/cartext-index"
    settings = Settings(bucket="photos", queue_url=queue_url)
    (sqs,) = make_clients(settings, "sqs")
    sqs.meta.events.register("before-send.sqs.ReceiveMessage", measure)
    with pytest.raises(MeasuredError) as request:
        IndexQueue(sqs, Calls(settings, Stop()), settings).receive(10)
    requests = number_of_idle_alarm("period") / settings.poll_seconds
    assert requests * request.value.args[0] > number_of_idle_alarm("threshold")


def test_ansible_still_speaks_to_the_python_of_amazon_linux() -> None:
    assert basic._PY_MIN <= AMAZON_LINUX_PYTHON


def test_our_module_is_written_for_it() -> None:
    for module in (ROOT / "ansible/library").glob("*.py"):
        ast.parse(module.read_text(), feature_version=AMAZON_LINUX_PYTHON)


def test_the_longest_run_is_followed_with_fewer_looks_than_ansible_can_nest() -> None:
    """With some to spare: each break of the network takes one as well."""
    table = re.search(
        r"<!-- bench: costs -->.*?\n\n", (ROOT / "docs/speed.md").read_text(), re.DOTALL
    )
    assert table
    hours = [float(line.split("|")[4]) for line in table[0].splitlines()[3:] if "|" in line]
    path = ROOT / "ansible/library/worker_state.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    wait = followed = looks = 0
    while followed < max(hours) * 3600:
        wait = module._longer(wait)
        followed, looks = followed + wait, looks + 1
    assert looks < NESTED_BY_ANSIBLE * 0.6
    assert wait < followed / 15
