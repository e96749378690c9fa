"""Stopping: a signal asks, a second one forces, and every wait ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workers.errors import OutageError, RunError, StoppedError
from workers.threads.stop import Stop
from workers.threads.ticker import Ticker

ROOT = Path(__file__).parents[2]
PROGRAM = """
import time
from workers.threads.stop import Stop
stop = Stop()
stop.on_signals()
print("ready", flush=True)
while not stop:
    time.sleep(0.01)
print("draining", flush=True)
time.sleep(%r)
print("drained", flush=True)
"""


def start(drain_seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM % drain_seconds],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(process, "ready")
    return process


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Reads on; the worker's own log may be in between."""
    assert process.stdout
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"it never said {word!r}")


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_it_finish(first: signal.Signals) -> None:
    process = start(0.2)
    process.send_signal(first)
    wait_for(process, "drained")
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_forces(second: signal.Signals) -> None:
    process = start(60)
    process.send_signal(signal.SIGTERM)
    wait_for(process, "draining")
    began = time.monotonic()
    process.send_signal(second)
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 75
    assert "drained" not in said
    assert time.monotonic() - began < 5


def test_a_sleep_ends_with_the_worker(stop: Stop) -> None:
    threading.Timer(0.05, stop.ask).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        stop.sleep(60)
    assert time.monotonic() - began < 5
    with pytest.raises(StoppedError):
        stop.sleep(0)


def test_what_stopped_it_is_raised(stop: Stop) -> None:
    stop.raise_error()
    stop.ask()
    with pytest.raises(StoppedError, match="start again to go on"):
        stop.raise_error()
    stop.fail(OutageError("no answer"))
    with pytest.raises(OutageError, match="no answer"):
        stop.raise_error()


def test_a_ticker_ticks_until_it_is_closed(stop: Stop) -> None:
    ticks = []
    ticker = Ticker("t", 0.02, lambda: ticks.append(1), stop)
    time.sleep(0.2)
    ticker.close()
    count = len(ticks)
    assert count >= 3
    time.sleep(0.08)
    assert len(ticks) == count


def test_a_ticker_is_closed_only_after_its_call(stop: Stop) -> None:
    began, done = threading.Event(), []

    def slow() -> None:
        began.set()
        time.sleep(0.1)
        done.append(1)

    ticker = Ticker("t", 0.001, slow, stop)
    assert began.wait(5)
    ticker.close()
    assert done


def test_a_tickers_error_stops_the_worker(stop: Stop) -> None:
    def fail() -> None:
        raise RunError("disk")

    Ticker("t", 0.001, fail, stop)
    assert stop.event.wait(5)
    assert str(stop.error) == "disk"
