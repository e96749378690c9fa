"""When every image fails alike it was about all of them: until one succeeds, nothing is kept."""

from __future__ import annotations

import pytest

from workers.errors import OutageError, RunError
from workers.suspicion import MOST, Suspicion

REASON = RunError("no access")


def test_a_failure_is_kept_back_until_an_image_succeeds() -> None:
    suspicion: Suspicion[str] = Suspicion(cleared=False)
    assert suspicion.failure("a", REASON) == []
    assert suspicion.failure("b", REASON) == []
    assert len(suspicion) == 2
    assert suspicion.success("c") == ["a", "b", "c"]
    assert len(suspicion) == 0
    assert suspicion.failure("d", REASON) == ["d"]
    assert suspicion.success("e", "f") == ["e", "f"]
    suspicion.give_up()


def test_what_an_earlier_start_has_seen_succeed_clears_it() -> None:
    assert Suspicion(cleared=True).failure("a", REASON) == ["a"]


@pytest.mark.parametrize("kind", [RunError, OutageError])
def test_when_no_more_comes_it_says_what_it_was(kind: type[RunError | OutageError]) -> None:
    suspicion: Suspicion[str] = Suspicion(cleared=False)
    suspicion.give_up()
    suspicion.failure("a", REASON)
    suspicion.failure("b", kind("the last reason"))
    with pytest.raises(kind, match=r"no image .* 2 were tried; the last one: the last reason"):
        suspicion.give_up()


def test_very_many_alike_are_enough() -> None:
    suspicion: Suspicion[int] = Suspicion(cleared=False)
    for number in range(MOST - 1):
        assert suspicion.failure(number, REASON) == []
    with pytest.raises(RunError, match=f"{MOST} were tried"):
        suspicion.failure(MOST, REASON)
