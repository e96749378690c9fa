"""When every image fails alike it was about all of them: until one succeeds, nothing is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workers import suspicion as suspicion_module
from workers.errors import OutageError, RunError
from workers.suspicion import MOST, SILENT_SECONDS, Suspicion

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


def test_what_another_worker_has_seen_succeed_clears_it() -> None:
    suspicion: Suspicion[str] = Suspicion(cleared=False)
    assert suspicion.hear(3, 3) == []
    suspicion.failure("a", REASON)
    assert suspicion.hear(3, 3) == []
    assert suspicion.hear(4, 3) == ["a"]
    assert suspicion.failure("b", REASON) == ["b"]


def test_where_nothing_comes_of_anybody_it_is_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(suspicion_module, "time", SimpleNamespace(monotonic=lambda: now))
    suspicion: Suspicion[str] = Suspicion(cleared=False)
    suspicion.failure("a", REASON)
    for done in (0, 1, 2):
        assert suspicion.hear(done, done) == []
        now += SILENT_SECONDS - 0.1
        assert suspicion.hear(done, done) == []
    now += 0.1
    with pytest.raises(RunError, match="1 were tried"):
        suspicion.hear(2, 2)
