"""Every image in flight has connections, and each of them is a file."""

from __future__ import annotations

import resource

from workers.errors import RunError
from workers.settings import Settings


def allow_files(settings: Settings) -> int:
    """Has this process open as many files as so many slots may need; returns how many.

    Raises RunError where the machine does not allow that.
    """
    needed = 3 * (settings.slots + 16) + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RunError(
            f"{hard} open files are allowed, but {settings.slots} images in flight may need "
            f"{needed}; raise the limit (ulimit -Hn, LimitNOFILE), or lower CARTEXT_IN_FLIGHT"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed
