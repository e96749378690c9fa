"""The sandbox's libraries: this environment's own, or installed once into the person's cache.

A wheel asks for what the workers need. What a part of the sandbox needs beside that is installed
when one is first started, by the lock that the wheel carries, into a folder that is named by what
is in it. That folder then stands first on the path: what is locked wins over what is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sandbox import CACHE, persons_environment
from sandbox.errors import SandboxError
from sandbox.fetching import INSTALL, fetch

LOCK = Path(__file__).with_name("libraries.txt")
# the modules that are the sandbox's alone
MODULES = (
    *("PIL", "cryptography", "cv2", "flask", "jinja2", "moto", "numpy", "onnxruntime", "rapidocr"),
    *("rich", "werkzeug"),
)


def provide() -> None:
    """Returns where they can be imported; else begins the command anew where they can.

    Raises SandboxError when they must be installed and cannot be.
    """
    missing = [module for module in MODULES if not find_spec(module)]
    if not missing:
        return
    folder = installed()
    packages = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if packages in path:
        raise SandboxError(f"{folder} is damaged, it lacks {missing[0]}: remove it, and try again")
    anew = {**persons_environment(), "PYTHONPATH": os.pathsep.join(filter(None, (packages, *path)))}
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, anew)  # noqa: S606 - it needs no shell


def installed(cache: Path = CACHE) -> Path:
    """The virtual environment that has them, made now if there is none, by one process alone."""
    folder = cache / "libraries" / _name()
    try:
        if not folder.exists():
            with _alone(folder) as lock:
                # another may have been at it
                if not folder.exists():
                    _install(folder, lock)
    except OSError as error:
        raise SandboxError(
            f"cannot keep the sandbox's libraries in {folder.parent} ({error.strerror}): "
            "mend that, or have XDG_CACHE_HOME name another folder"
        ) from error
    return folder


def _name() -> str:
    """One for each content: by the lock, and by the Python and the machine that wheels are for."""
    digest = hashlib.sha256(LOCK.read_bytes())
    digest.update(f"{sysconfig.get_config_var('SOABI')} {platform.machine()}".encode())
    return f"python{sysconfig.get_python_version()}-{digest.hexdigest()[:12]}"


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Holds the folder's lock file, the descriptor of which it gives; another waits for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another is installing the sandbox's libraries: waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _install(folder: Path, lock: int) -> None:
    """Makes it under another name: what has the right one is whole."""
    new = folder.with_name(f"{folder.name}.new")
    commands = _commands(new)
    _say(f"installing the sandbox's libraries into {folder} (once: 0.6 GB, about a minute)")
    failed = f"the sandbox's libraries could not be installed into {folder.parent}"
    try:
        for command in commands:
            # held by it, too: if this process is killed the next waits for what it leaves behind
            fetch(command, failed, seconds=None, pass_fds=[lock])
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _commands(venv: Path) -> tuple[list[str], list[str]]:
    """The one that makes the virtual environment, and the one that fills it."""
    own, its = sys.executable, str(venv / "bin" / "python")
    if find_spec("pip"):
        # pipx's, say, is newer than the one that comes with Python, and twice as fast
        make, pip = ["venv", "--without-pip"], [own, "-Pm", "pip", "--python", its]
    elif find_spec("ensurepip"):
        make, pip = ["venv"], [its, "-Pm", "pip"]
    else:
        package = f"python{sysconfig.get_python_version()}-venv"
        raise SandboxError(f"this Python lacks pip (Debian, Ubuntu: apt-get install {package})")
    # compiled when they are imported: most of them never are; what is on PYTHONPATH may go again
    how = ["--no-compile", "--ignore-installed"]
    return [own, "-Pm", *make, "--clear", str(venv)], [*pip, *INSTALL, str(LOCK), *how]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
