"""The report's small charts, as bars that the page's template draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from console.words import duration_text

TIME_BINS = 60
# from the bottom up; the first class of a kind is the style's
KINDS = (("text", "with text"), ("without", "without text"), ("failed", "failed"))


@dataclass(frozen=True)
class Bar:
    """What it says, and its parts: a kind each, its top and its height in percent of the chart."""

    said: str
    parts: list[tuple[str, float, float]]


@dataclass(frozen=True)
class Chart:
    """Bars under a title, and what stands below the first and the last one."""

    title: str
    about: str
    bars: list[Bar]
    left: str
    right: str


def histogram(title: str, unit: str, confidences: Sequence[float]) -> Chart | None:
    """A bar for every whole percent from the lowest of the confidences up to 100."""
    if not confidences:
        return None
    # 100 % itself belongs to the last bar; and a message may say what no confidence is
    bins = Counter(max(0, min(99, int(confidence))) for confidence in confidences)
    # few different values must not look like a wall
    first = min(*bins, 90)
    most = max(bins.values())
    bars = [
        _bar(
            f"{percent} to {percent + 1} %: {bins[percent]:,} of {len(confidences):,} {unit}",
            {"sure": bins[percent]},
            most,
        )
        for percent in range(first, 100)
    ]
    about = (
        f"{len(confidences):,} {unit}, median {median(confidences):.1f}\xa0%, "
        f"lowest {min(confidences):.1f}\xa0%"
    )
    return Chart(title, about, bars, f"{first} %", "100 %")


def timeline(times: Sequence[tuple[float, str]]) -> Chart | None:
    """Results over the run's time: `times` are seconds since 1970 and a kind of result."""
    if len(times) < 2:
        return None
    begin, end = min(times)[0], max(times)[0]
    seconds = max(end - begin, 0.001)
    bins = [Counter[str]() for _ in range(min(TIME_BINS, max(10, len(times) // 4)))]
    for time, kind in times:
        bins[min(len(bins) - 1, int((time - begin) / seconds * len(bins)))][kind] += 1
    most = max(counts.total() for counts in bins)
    bars = []
    for number, counts in enumerate(bins):
        said = ", ".join(f"{counts[kind]:,} {name}" for kind, name in KINDS if counts[kind])
        clock = _clock(begin + number * seconds / len(bins))
        bars.append(_bar(f"{clock}: {said}", {kind: counts[kind] for kind, _ in KINDS}, most))
    about = f"{len(times):,} images read in {duration_text(seconds)}, {len(times) / seconds:.1f}/s"
    return Chart("Time line", about, bars, _clock(begin), f"{_clock(end)} UTC")


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _bar(said: str, counts: dict[str, int], most: int) -> Bar:
    parts, top = [], 100.0
    for kind, count in counts.items():
        if count:
            # what is there must be seen
            height = max(1.5, 100 * count / most)
            top -= height
            parts.append((kind, max(0.0, top), height))
    return Bar(said, parts)
