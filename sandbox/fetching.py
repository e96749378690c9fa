"""The programs that fetch what the sandbox needs, and the line for a person when one cannot."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Any

from sandbox.errors import SandboxError

# for pip: what a lock file names and nothing else, and not into the home, whatever pip.conf says
INSTALL = (
    *("install", "--quiet", "--disable-pip-version-check", "--no-user"),
    *("--no-deps", "--require-hashes", "--requirement"),
)


def fetch(command: Sequence[str], failed: str, seconds: float | None = 300, **how: Any) -> None:
    """Runs pip, venv or npm to its end, and shows nothing of it; `how` is for subprocess.run.

    Raises SandboxError, which begins with `failed`.
    """
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
            **how,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SandboxError(
            f"{failed} ({_reason(error)}): check the network, the disk and the registry settings, "
            "and try again"
        ) from error


def _reason(error: subprocess.CalledProcessError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {error.timeout:.0f} seconds"
    # npm's and pip's own: warnings come before it, advice after it
    line = re.search(r"^(npm )?err.*", error.stderr, re.IGNORECASE | re.MULTILINE)
    return line[0].strip() if line else f"exit status {error.returncode}"
