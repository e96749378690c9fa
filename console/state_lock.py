"""One worker of a kind in a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.errors import RunError


@contextmanager
def alone(state_dir: Path, role: str) -> Iterator[None]:
    """Two workers of a kind in one folder would do the same work twice."""
    path = state_dir / f"{role}.lock"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise RunError(f"cannot use the state folder {state_dir}: {error.strerror}") from error
    try:
        _lock(descriptor, state_dir, role)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state_dir: Path, role: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(
            f"another {role} worker is at work in {state_dir}; stop it, or give this one another "
            "--state-dir"
        ) from error
    except OSError as error:
        raise RunError(
            f"the state folder {state_dir} cannot be locked: {error.strerror}; give --state-dir a "
            "folder on a disk of this machine"
        ) from error
