"""The report's small charts, as SVG that needs no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from statistics import median

from workers.words import duration_text

HEIGHT = 100
BAR, GAP = 10, 2
TIME_BINS = 60
# from the bottom up; the first class of a kind is the style's
KINDS = (("text", "with text"), ("without", "without text"), ("failed", "failed"))


def histogram(title: str, unit: str, confidences: Sequence[float]) -> str:
    """A bar for every whole percent from the lowest of the confidences up to 100."""
    if not confidences:
        return ""
    # 100 % itself belongs to the last bar
    bins = Counter(min(99, int(confidence)) for confidence in confidences)
    # few different values must not look like a wall
    first = min(*bins, 90)
    most = max(bins.values())
    bars = [
        _bar(
            number,
            [("sure", bins[percent] / most)],
            f"{percent} to {percent + 1} %: {bins[percent]:,} of {len(confidences):,} {unit}",
        )
        for number, percent in enumerate(range(first, 100))
    ]
    about = (
        f"{len(confidences):,} {unit}, median {median(confidences):.1f}\xa0%, "
        f"lowest {min(confidences):.1f}\xa0%"
    )
    return _figure(title, about, bars, f"{first} %", "100 %")


def timeline(times: Sequence[tuple[float, str]]) -> str:
    """Results over the run's time: `times` are seconds since 1970 and a kind of result."""
    if len(times) < 2:
        return ""
    begin, end = min(times)[0], max(times)[0]
    seconds = max(end - begin, 0.001)
    bins = [Counter[str]() for _ in range(min(TIME_BINS, max(10, len(times) // 4)))]
    for time, kind in times:
        bins[min(len(bins) - 1, int((time - begin) / seconds * len(bins)))][kind] += 1
    most = max(counts.total() for counts in bins)
    bars = []
    for number, counts in enumerate(bins):
        parts = [(kind, counts[kind] / most) for kind, _ in KINDS]
        said = ", ".join(f"{counts[kind]:,} {name}" for kind, name in KINDS if counts[kind])
        bars.append(_bar(number, parts, f"{_clock(begin + number * seconds / len(bins))}: {said}"))
    about = f"{len(times):,} images read in {duration_text(seconds)}, {len(times) / seconds:.1f}/s"
    return _figure("Time line", about, bars, _clock(begin), f"{_clock(end)} UTC")


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _bar(number: int, parts: Sequence[tuple[str, float]], said: str) -> str:
    """One bar of several parts, each a kind and a share (0 to 1) of the height."""
    drawn, top = [], float(HEIGHT)
    for kind, share in parts:
        if share:
            # what is there must be seen
            height = max(1.5, share * HEIGHT)
            top -= height
            drawn.append(
                f'<rect class="{kind}" x="{number * (BAR + GAP)}" y="{max(0.0, top):.1f}" '
                f'width="{BAR}" height="{height:.1f}"/>'
            )
    return f"<g><title>{escape(said)}</title>{''.join(drawn)}</g>" if drawn else ""


def _figure(title: str, about: str, bars: Sequence[str], left: str, right: str) -> str:
    width = len(bars) * (BAR + GAP) - GAP
    return (
        f'<figure class="chart"><figcaption><b>{escape(title)}</b> {escape(about)}</figcaption>'
        f'<svg viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{title}: {about}")}">{"".join(bars)}</svg>'
        f'<p class="ends" aria-hidden="true"><span>{left}</span><span>{right}</span></p></figure>\n'
    )
