"""The rule of the end, as a table."""

from __future__ import annotations

import pytest

from workers.ending import Ending, ending, expected, finished, missing
from workers.model import RunProgress


def run(done: int, of: int | None = None, bare: bool = False, by_hand: int = 0) -> RunProgress:
    """`of` is what the end says."""
    return RunProgress(done, 0, 0, of, bare, by_hand)


@pytest.mark.parametrize(
    ("progress", "is_", "of", "left"),
    [
        (run(0), Ending.NO_END, None, None),
        (run(7), Ending.NO_END, None, None),
        (run(0, 0), Ending.FINISHED, 0, 0),
        (run(2, 3), Ending.IMAGES_MISSING, 3, 1),
        (run(3, 3), Ending.FINISHED, 3, 0),
        (run(4, 3), Ending.CONTRADICTED, None, None),
        (run(4, 3, bare=True), Ending.CONTRADICTED, None, None),
        (run(5, 3, by_hand=1), Ending.CONTRADICTED, None, None),
        (run(3, 3, by_hand=1), Ending.IMAGES_MISSING, 4, 1),
        (run(4, 3, by_hand=1), Ending.FINISHED, 4, 0),
        (run(0, bare=True), Ending.UNCOUNTED, None, None),
        (run(9, bare=True), Ending.UNCOUNTED, None, None),
    ],
)
def test_what_follows_from_what_is_known(
    progress: RunProgress, is_: Ending, of: int | None, left: int | None
) -> None:
    assert (ending(progress), expected(progress), missing(progress)) == (is_, of, left)
    assert finished(progress) == (is_ is Ending.FINISHED)
    assert finished(progress, queue_stays_empty=True) == (
        is_ in {Ending.FINISHED, Ending.UNCOUNTED, Ending.CONTRADICTED}
    )


def test_where_the_end_has_a_count_a_bare_one_changes_nothing() -> None:
    counted, both = run(1, 2), run(1, 2, bare=True)
    assert ending(both) is ending(counted)
    assert not finished(both, queue_stays_empty=True)
