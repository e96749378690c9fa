"""The lines to paste, in a shell that has settings of the person's own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox.hosts.__main__ as hosts
from sandbox.aws.server import Sandbox
from sandbox.exports import shell_lines

NOWHERE = "http://127.0.0.1:9"
OWN = {
    **dict.fromkeys(("AWS_PROFILE", "AWS_DEFAULT_PROFILE"), "nobody-has-it"),
    **dict.fromkeys(("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"), NOWHERE),
    **dict.fromkeys(("HTTP_PROXY", "http_proxy"), NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "example.com"),
    "AWS_SESSION_TOKEN": "expired",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
ASK = "import boto3; [print(boto3.client(name).meta.endpoint_url) for name in ('s3', 'sqs')]; "
ASK += "print(*(each['Name'] for each in boto3.client('s3').list_buckets()['Buckets']))"


def said(shell: str, lines: str, own: dict[str, str]) -> list[str]:
    """Where boto3 would ask for S3 and SQS once the lines are pasted, and the buckets there."""
    done = subprocess.run(
        [shell, "-euc", f"{lines}\n{shlex.join([sys.executable, '-c', ASK])}"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("own", [OWN, {}], ids=["with settings", "without"])
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_nothing_of_the_persons_own_counts(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, shell: str, own: dict[str, str]
) -> None:
    monkeypatch.setenv("http_proxy", NOWHERE)
    sandbox.create_bucket("photos")
    lines = shell_lines(sandbox.aws_environment)
    assert said(shell, lines, own) == [sandbox.endpoint, sandbox.endpoint, "photos"]


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_what_terraform_refuses_beside_an_endpoint_is_off(sandbox: Sandbox, name: str) -> None:
    done = subprocess.run(
        ["sh", "-euc", f"{shell_lines(sandbox.aws_environment)}\nprintenv {name}"],
        env={**os.environ, name: "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "false\n"


def test_nor_does_it_in_the_file_of_the_hosts(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hosts, "ENVIRONMENT", tmp_path / "environment")
    sandbox.create_bucket("photos")
    hosts._write_environment(sandbox.environment())
    lines = f". {tmp_path}/environment"
    assert said("sh", lines, OWN) == [sandbox.endpoint, sandbox.endpoint, "photos"]
