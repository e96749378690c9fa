"""Ansible module: how a worker's unit is, and what it last said."""

# runs on the hosts: nothing newer than Python 3.9

from __future__ import annotations

import json
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: worker_state
short_description: How a worker's unit is, and what it last said
description: Looks, or waits for the unit to end while looking. Changes nothing.
options:
  unit:
    description: Name of the systemd service.
    type: str
    required: true
  seconds:
    description: How long to wait for the unit to end; 0 only looks.
    type: int
    default: 0
author: cartext
"""

RETURN = """
unit:
  description: Name of the systemd service.
  type: str
  returned: always
at_work:
  description: Whether it runs, starts, stops or is about to be started again.
  type: bool
  returned: always
waited:
  description: Whether it was at work when the wait began.
  type: bool
  returned: always
outcome:
  description:
    - "How it ended: finished, failed (at its end, as every image had), stopped (before the end),"
    - "wrong (before the end, and stays off) or none."
  type: str
  returned: always
news:
  description: Whether it did some work since it was started, or found all done already.
  type: bool
  returned: always
longer:
  description: Seconds to wait the next time, half as long again; from five minutes on a twentieth longer.
  type: int
  returned: always
said:
  description: The last line of its log that sums up.
  type: str
  returned: always
"""

STOPPED_BEFORE_THE_END = 75
SUMMARY_EVENTS = ("progress", "summary", "already finished", "stopped", "stopped by a bug")
PROPERTIES = (
    "ActiveState",
    "Result",
    "ExecMainStatus",
    "ExecMainCode",
    "InvocationID",
    "NRestarts",
)
LINES = "400"
SHORTEST, LONG = 3, 300


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        {"unit": {"type": "str", "required": True}, "seconds": {"type": "int", "default": 0}},
        supports_check_mode=True,
    )
    give_up = time.monotonic() + module.params["seconds"]
    unit = _properties(module.params["unit"])
    waited = _at_work(unit)
    while _at_work(unit) and time.monotonic() < give_up:
        time.sleep(0.5)
        unit = _properties(module.params["unit"])
    lines = _log(unit)
    events = [event for event in map(_event, lines) if event]
    event = _last_summary(events)
    module.exit_json(
        changed=False,
        unit=module.params["unit"],
        at_work=_at_work(unit),
        waited=waited,
        outcome="none" if _at_work(unit) else _outcome(unit, events),
        longer=_longer(module.params["seconds"]),
        news=event.get("event") != "already finished",
        said=_in_words(event) if event else (lines[-1] if lines else "has said nothing"),
    )


def _longer(seconds: int) -> int:
    # Ansible nests the looks in each other, a few hundred at most: a month of them must fit
    return max(SHORTEST, seconds + seconds // (2 if seconds < LONG else 20))


def _properties(name: str) -> dict[str, str]:
    wanted = [f"--property={name}" for name in PROPERTIES]
    shown = subprocess.run(
        ["systemctl", "show", name, *wanted], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def _at_work(unit: dict[str, str]) -> bool:
    return unit["ActiveState"] not in ("inactive", "failed")


def _outcome(unit: dict[str, str], events: list[dict[str, object]]) -> str:
    if not unit["InvocationID"] or not unit["ExecMainCode"].strip("0"):
        return "none"
    if unit["ActiveState"] == "failed":
        return "failed" if any(map(_says_the_end, events)) else "wrong"
    return "stopped" if int(unit["ExecMainStatus"]) == STOPPED_BEFORE_THE_END else "finished"


def _log(unit: dict[str, str]) -> list[str]:
    """What the worker said since it was last started, the last lines."""
    if not unit["InvocationID"]:
        return []
    invocation = f"_SYSTEMD_INVOCATION_ID={unit['InvocationID']}"
    said = subprocess.run(
        ["journalctl", "--output=cat", f"--lines={LINES}", "--quiet", invocation],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line for line in said.splitlines() if line.strip()]


def _says_the_end(event: dict[str, object]) -> bool:
    return event["event"] == "already finished" or event.get("finished") is True


def _last_summary(events: list[dict[str, object]]) -> dict[str, object]:
    """The last event that sums up, or else just the last one."""
    summaries = [event for event in events if event["event"] in SUMMARY_EVENTS]
    return (summaries or events or [{}])[-1]


def _event(line: str) -> dict[str, object]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def _in_words(event: dict[str, object]) -> str:
    known = ("time", "level", "event", "run", "role", "worker", "exception")
    words = [
        f"{name} {value}"
        for name, value in event.items()
        if name not in known and value is not None
    ]
    return f"{event['event']}: {', '.join(words)}"


if __name__ == "__main__":
    main()
