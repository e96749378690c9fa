"""A run in which every image failed is never a success."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from workers.errors import RunError
from workers.model import Decision, LabelCounts, RunProgress
from workers.output.rows import ResultRow


def refuse_decisions(counts: LabelCounts, failures: Iterable[Decision]) -> None:
    """Raises RunError where all decisions of a run that is listed are failures."""
    if counts.failed == counts.decided:
        _refuse(decision.failure or "" for decision in failures)


def refuse_results(progress: RunProgress, results: Iterable[ResultRow]) -> None:
    """Raises RunError where all results of a finished run are failures."""
    if progress.failed == progress.done:
        _refuse(json.loads(row)["failure"] for row, _ in results)


def _refuse(failures: Iterable[str]) -> None:
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for failure in failures:
        reason = failure.partition(":")[0]
        reasons[reason] += 1
        examples.setdefault(reason, failure)
    if not reasons:
        return
    ((reason, count),) = reasons.most_common(1)
    raise RunError(
        f"every image failed, {count:,} of {reasons.total():,} for this reason: "
        f"{examples[reason]}; mend that, then begin another run with a new CARTEXT_RUN"
    )
