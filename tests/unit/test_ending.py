"""The rule of the end, as a table."""

from __future__ import annotations

import pytest

from workers.ending import Ending, ending, expected, finished, missing
from workers.model import RunProgress, RunEnd


def run(
    done: int, *ends: tuple[int, int, int], bare: bool = False, by_hand: int = 0
) -> RunProgress:
    """`ends` are shard, shards, expected."""
    return RunProgress(done, 0, 0, tuple(ShardEnd("r", *end) for end in ends), bare, by_hand)


@pytest.mark.parametrize(
    ("progress", "is_", "of", "left"),
    [
        (run(0), Ending.NO_END, None, None),
        (run(7), Ending.NO_END, None, None),
        (run(0, (0, 1, 0)), Ending.FINISHED, 0, 0),
        (run(2, (0, 1, 3)), Ending.IMAGES_MISSING, 3, 1),
        (run(3, (0, 1, 3)), Ending.FINISHED, 3, 0),
        (run(4, (0, 1, 3)), Ending.CONTRADICTED, None, None),
        (run(4, (0, 1, 3), bare=True), Ending.CONTRADICTED, None, None),
        (run(5, (0, 1, 3), by_hand=1), Ending.CONTRADICTED, None, None),
        (run(3, (0, 1, 3), by_hand=1), Ending.IMAGES_MISSING, 3, 1),
        (run(4, (0, 1, 3), by_hand=1), Ending.FINISHED, 3, 0),
        (run(3, (0, 2, 3)), Ending.ENDS_MISSING, None, None),
        (run(3, (1, 2, 3)), Ending.ENDS_MISSING, None, None),
        (run(3, (0, 2, 3), (1, 2, 4)), Ending.IMAGES_MISSING, 7, 4),
        (run(7, (0, 2, 3), (1, 2, 4)), Ending.FINISHED, 7, 0),
        (run(9, (0, 2, 3)), Ending.ENDS_MISSING, None, None),
        (run(8, (0, 2, 3), (1, 2, 4)), Ending.CONTRADICTED, None, None),
        (run(3, (0, 1, 3), (7, 10_000, 0)), Ending.CONTRADICTED, None, None),
        (run(7, (0, 3, 3), (1, 2, 4)), Ending.CONTRADICTED, None, None),
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


@pytest.mark.parametrize("ends", [[(0, 2, 1)], [(0, 1, 2)]])
def test_where_any_end_has_a_count_a_bare_one_changes_nothing(
    ends: list[tuple[int, int, int]],
) -> None:
    counted, both = run(1, *ends), run(1, *ends, bare=True)
    assert ending(both) is ending(counted)
    assert not finished(both, queue_stays_empty=True)
