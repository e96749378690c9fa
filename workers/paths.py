"""Whether a file or a folder is there, also where this user may not look."""

from __future__ import annotations

from pathlib import Path

from workers.errors import RunError


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; RunError where this user may not know."""
    try:
        path.stat()
    except PermissionError as error:
        raise RunError(
            f"{path} may not be read by this user; run cartext as the user whose it is (on an "
            "instance: docs/operations.md, a command on an instance), or give another path"
        ) from error
    except (OSError, ValueError):
        return False
    return True
