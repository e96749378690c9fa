"""The log: one line an event, JSON for machines, plain for people."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import structlog
from workers import log
from workers.settings import Settings
settings = Settings(
    bucket="photos", queue_url="http://q.test/1/i", run="monday", worker="here", log_format=%r
)
log.configure(settings, "text")
say = structlog.get_logger()
say.debug("too much")
say.info("read", index="a\\nb \\u2028 \\ud800 ü.jpg", ms=12)
say.info("odd", index="\\u202e\\x9b\\x1b.jpg")
say.warning("failed", run="sunday", index="2.jpg", reason="two\\nlines")
try:
    1 / 0
except ZeroDivisionError:
    say.exception("stopped by a bug")
"""


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def run(log_format: str = "auto", **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % log_format],
        env=environment(**more),
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""
    return done.stderr.decode()


def run_on_terminal(**more: str) -> str:
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", PROGRAM % "auto"], env=environment(**more), stderr=theirs, check=True
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:
        pass
    os.close(ours)
    return said.decode().replace("\r\n", "\n")


def test_without_a_terminal_it_is_json_on_standard_error() -> None:
    lines = run().split("\n")
    assert lines.pop() == ""
    read, odd, failed, bug = map(json.loads, lines)
    assert odd["index"] == "\u202e\x9b\x1b.jpg"
    assert not set("\u202e\x9b\x1b") & set("".join(lines))
    assert list(read)[:6] == ["time", "level", "event", "run", "role", "worker"]
    assert (read["level"], read["event"], read["run"]) == ("info", "read", "monday")
    assert (read["role"], read["worker"], read["ms"]) == ("text", "here", 12)
    assert read["index"].startswith("a\nb ")
    assert read["index"].endswith("ü.jpg")
    assert (failed["level"], failed["run"], failed["reason"]) == ("warning", "sunday", "two\nlines")
    assert bug["level"] == "error"
    assert "ZeroDivisionError" in bug["exception"]


def test_for_a_person_it_is_one_plain_line_an_event() -> None:
    said = run("text", NO_COLOR="1")
    lines = [line for line in said.split("\n") if "read" in line or "failed" in line]
    assert len(lines) == 2
    assert "ms" in lines[0]
    assert "12" in lines[0]
    assert "2.jpg" in lines[1]
    assert not lines[0].startswith("{")
    assert not set("\u202e\x9b\x1b") & set(said)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_log_that_is_closed_or_full_ends_nothing(log_format: str) -> None:
    program = PROGRAM % log_format + "\nprint('still here')"
    reads, writes = os.pipe()
    os.close(reads)
    for closed in (writes, os.open("/dev/full", os.O_WRONLY)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment(NO_COLOR="1"),
            stdout=subprocess.PIPE,
            stderr=closed,
            check=False,
        )
        os.close(closed)
        assert (done.returncode, done.stdout) == (0, b"still here\n")


def test_a_terminal_gets_colours_unless_they_are_not_wanted() -> None:
    coloured, plain = run_on_terminal(), run_on_terminal(NO_COLOR="1")
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert not plain.startswith("{")
    first = plain.split("\n")[0]
    assert "read" in first
    assert "ü.jpg" in first


@pytest.mark.parametrize("log_format", ["auto", "json", "text"])
def test_what_is_too_much_is_left_out(log_format: str) -> None:
    assert "too much" not in run(log_format)
