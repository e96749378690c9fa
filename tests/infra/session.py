"""A stand-in for the AWS CLI, which notes what ssh asks it for and opens no session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

AWS = """#!/bin/sh
echo "$@" > {folder}/asked
exit 1
"""


def asked_for(folder: Path, ssh: Sequence[str]) -> str:
    """The arguments with which this command of ssh calls the AWS CLI."""
    program = folder / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(AWS.format(folder=folder))
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(ssh, env={**os.environ, "PATH": path}, check=False, capture_output=True)
    assert done.returncode == 255, done.stderr
    return (folder / "asked").read_text().strip()


def session_to(instance: str) -> str:
    """As AWS's guide has it for ssh through Session Manager."""
    return (
        f"ssm start-session --region us-east-1 --target {instance} "
        "--document-name AWS-StartSSHSession --parameters portNumber=22"
    )
