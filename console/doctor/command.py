"""`cartext doctor`: whether a run can succeed."""

from __future__ import annotations

import json

import structlog

from console.doctor.examine import examine
from console.doctor.render import as_dict, as_text, wrong_ones
from console.doctor.tools import DoctorSettings
from workers.errors import RunError

SETTINGS = DoctorSettings


def run(settings: DoctorSettings) -> None:
    """Prints what was found; raises RunError when a point is wrong."""
    # a retry is nothing that a person must know: its point says how it ended
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    findings = examine(settings)
    text = json.dumps(as_dict(findings), indent=2) if settings.as_json else as_text(findings)
    print(text)  # noqa: T201 - what the command is for
    if wrong := wrong_ones(findings):
        raise RunError(f"mend first: {', '.join(wrong)}")
