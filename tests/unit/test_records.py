"""The order in which people count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.records import RunProgress, natural_key


def test_numbers_sort_as_people_count() -> None:
    expected = ["1.jpg", "2.jpg", "10.jpg", "a1b2", "a1b10", "a2b1", "a10", "b"]
    assert sorted(sorted(expected), key=natural_key) == expected


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_any_two_numbers(a: int, b: int) -> None:
    assert (natural_key(f"x{a}.jpg") < natural_key(f"x{b}.jpg")) == (a < b)


def test_counted_out_needs_every_end_and_every_image() -> None:
    def progress(done: int, expected: int, all_ended: bool) -> bool:
        return RunProgress(done, 0, 0, expected, all_ended, foreign_end=True).counted_out

    assert progress(3, 3, True)
    assert progress(0, 0, True)
    assert not progress(2, 3, True)
    assert not progress(3, 3, False)
