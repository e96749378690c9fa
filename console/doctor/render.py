"""The findings as JSON, and as lines for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console.doctor.finding import Finding, Verdict
from console.words import table


def wrong_ones(findings: Sequence[Finding]) -> list[str]:
    """The points that are wrong."""
    return [finding.point for finding in findings if finding.verdict is Verdict.WRONG]


def as_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as docs/doctor.schema.json has them."""
    points = [
        {
            "point": finding.point,
            "verdict": finding.verdict.value,
            "text": finding.text,
            "remedy": finding.remedy or None,
        }
        for finding in findings
    ]
    return {"schema": 1, "right": not wrong_ones(findings), "points": points}


def as_text(findings: Sequence[Finding]) -> str:
    """A line a point, and one with the remedy below it where there is something to do."""
    rows = []
    for finding in findings:
        rows.append((finding.verdict.value, finding.point, finding.text))
        if finding.remedy:
            rows.append(("", "", f"-> {finding.remedy}"))
    return table(rows, right=())
