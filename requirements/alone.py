"""Runs a command that installs into .venv; where another is at it, waits for its end first."""

import fcntl
import os
import sys
from pathlib import Path

VENV = Path(__file__).resolve().parent.parent / ".venv"

VENV.mkdir(exist_ok=True)
lock = os.open(VENV / "lock", os.O_RDWR | os.O_CREAT, 0o666)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("another make is installing into .venv: waiting for its end", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
# held by the command, to the end of the last that it starts
os.set_inheritable(lock, True)
os.execvp(sys.argv[1], sys.argv[1:])
