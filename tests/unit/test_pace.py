"""Rates and the time left, by a clock that the test turns."""

from __future__ import annotations

import itertools

import pytest

from workers.pace import Pace


@pytest.mark.parametrize(
    ("before", "seconds", "done", "of", "rate", "left"),
    [
        (0, 10, 50, 100, 5.0, 10),
        (40, 10, 50, 100, 1.0, 50),
        (0, 10, 50, None, 5.0, None),
        (0, 10, 0, 100, 0.0, None),
        (0, 10, 100, 100, 10.0, 0),
        # more came than was listed
        (0, 10, 101, 100, 10.1, 0),
    ],
)
def test_a_progress_line(
    before: int, seconds: float, done: int, of: int | None, rate: float, left: int | None
) -> None:
    clock = itertools.count(1000.0, seconds)
    pace = Pace(before, lambda: next(clock))
    assert pace.fields(done, of) == {"per_second": rate, "seconds_left": left}
