"""The order in which people count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.model import natural_key


def test_numbers_sort_as_people_count() -> None:
    expected = ["1.jpg", "2.jpg", "10.jpg", "a1b2", "a1b10", "a2b1", "a10", "b"]
    assert sorted(sorted(expected), key=natural_key) == expected


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_any_two_numbers(a: int, b: int) -> None:
    assert (natural_key(f"x{a}.jpg") < natural_key(f"x{b}.jpg")) == (a < b)
