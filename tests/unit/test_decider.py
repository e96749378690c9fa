"""How A decides about copies of a picture, and what is left of it when it is stopped or killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.fakes import client_error
from tests.unit.scene import Scene, alongside, soon
from workers import suspicion
from workers.decider import Decider
from workers.errors import RunError, StoppedError
from workers.label_worker import LabelWorker
from workers.ledger import sqlite_file
from workers.model import NO_PICTURE, Decision, LabelCounts

COPIES = ("1.jpg", "2.jpg", "3.jpg")


@pytest.fixture
def copies(scene: Scene) -> Scene:
    """One picture under three keys, each on a page of its own."""
    scene.copies(*COPIES, of="one picture").s3.page_size = 1
    return scene


def all_are_listed(scene: Scene) -> bool:
    return any(request.get("ContinuationToken") == "2.jpg" for request in scene.s3.listings)


def when_all_are_listed(
    scene: Scene, then: Callable[[str], float | None]
) -> Callable[[str], float | None]:
    """The copies are in flight together by the time of the first answer."""

    def look(key: str) -> float | None:
        soon(lambda: all_are_listed(scene))
        time.sleep(0.05)
        return then(key)

    return look


def counts(scene: Scene) -> tuple[int, int, int, int]:
    it = scene.ledger.label_counts("default")
    return it.decided, it.labelled, it.failed, it.known


def test_copies_in_flight_together_cost_one_call(copies: Scene) -> None:
    copies.label = when_all_are_listed(copies, lambda _: 95.0)
    copies.start(LabelWorker)
    assert copies.asked == ["1.jpg"]
    assert sorted(copies.left) == ["-1", *COPIES]
    assert counts(copies) == (3, 3, 0, 2)


def test_copies_on_one_page_cost_one_call(copies: Scene) -> None:
    copies.s3.page_size = 1000
    copies.start(LabelWorker)
    assert copies.asked == ["1.jpg"]
    assert counts(copies) == (3, 3, 0, 2)


def test_a_copy_that_comes_before_the_answer_is_durable_waits_for_it(
    copies: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for the answer before that finds none, and would pay for it again."""

    def list_late(**request: Any) -> Any:
        if request.get("ContinuationToken"):
            soon(answered.is_set)
            time.sleep(0.02)
        return list_page(**request)

    def look(_: str) -> float:
        # from now on a commit is waited for
        monkeypatch.setattr(sqlite_file, "GATHER_SECONDS", 0.3)
        answered.set()
        return 95.0

    list_page, answered = copies.s3.list_objects_v2, threading.Event()
    copies.s3.list_objects_v2, copies.label = list_late, look
    copies.start(LabelWorker)
    assert copies.asked == ["1.jpg"]


@pytest.mark.parametrize("together", [True, False])
def test_a_copy_right_behind_the_answer_costs_none_though_a_table_shows_it_late(
    copies: Scene, together: bool
) -> None:
    def list_late(**request: Any) -> Any:
        if request.get("ContinuationToken"):
            soon(lambda: counts(copies)[0])
            time.sleep(0.05)
        return list_page(**request)

    list_page = copies.s3.list_objects_v2
    if together:
        copies.label = when_all_are_listed(copies, lambda _: 95.0)
    else:
        copies.s3.list_objects_v2 = list_late
    copies.shows_late().start(LabelWorker)
    assert copies.asked == ["1.jpg"]
    assert counts(copies) == (3, 3, 0, 2)


def test_where_the_first_copy_fails_the_next_one_is_tried_for_all(copies: Scene) -> None:
    """It may be about the key: one that is gone, or forbidden."""

    def fail_first(key: str) -> float:
        if key == "1.jpg":
            raise client_error("InvalidParameterException")
        return 95.0

    copies.label = when_all_are_listed(copies, fail_first)
    copies.start(LabelWorker)
    assert copies.asked == ["1.jpg", "2.jpg"]
    assert counts(copies) == (3, 2, 1, 1)
    assert sorted(copies.left) == ["-1", "2.jpg", "3.jpg"]


def test_a_picture_that_nobody_can_look_at_fails_under_each_key(copies: Scene) -> None:
    def fail(_: str) -> float:
        raise client_error("InvalidImageFormatException")

    copies.images("4.jpg").label = when_all_are_listed(
        copies, lambda key: 95.0 if key == "4.jpg" else fail(key)
    )
    copies.start(LabelWorker)
    assert sorted(copies.asked) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert counts(copies) == (4, 1, 3, 0)


def test_copies_wait_for_one_that_is_set_aside(copies: Scene) -> None:
    def fail_once(_: str) -> float:
        if not failed:
            failed.append(True)
            raise client_error("Strange", 403)
        return 95.0

    failed: list[bool] = []
    copies.label = when_all_are_listed(copies, fail_once)
    copies.start(LabelWorker, retry_seconds=0.001, tries=2)
    assert set(copies.asked) == {"1.jpg"}
    assert counts(copies) == (3, 3, 0, 2)


@pytest.mark.parametrize("outcome", ["an answer", "a failure"])
def test_copies_of_what_is_in_flight_when_a_stops_are_for_the_next_start(
    copies: Scene, outcome: str
) -> None:
    def stop(_: str) -> float:
        copies.stop.ask()
        # by then the threads are let go of
        time.sleep(0.1)
        if outcome == "a failure":
            raise client_error("InvalidParameterException")
        return 95.0

    copies.label = when_all_are_listed(copies, stop)
    with pytest.raises(StoppedError):
        copies.start(LabelWorker)
    assert copies.asked == ["1.jpg"]
    copies.label = lambda _: 95.0
    copies.start(LabelWorker)
    assert copies.asked == (["1.jpg"] if outcome == "an answer" else ["1.jpg", "2.jpg"])
    failed = int(outcome == "a failure")
    assert counts(copies)[:3] == (3, 3 - failed, failed)
    assert [end["expected"] for end in copies.sent("-1")] == [str(3 - failed)]


def test_an_answer_is_used_after_a_kill_before_its_decision(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> Any:
        scene.ledger.settle("other", {"x": "y"}).result()
        raise RunError("killed")

    monkeypatch.setattr(scene.ledger, "decide", killed)
    with pytest.raises(RunError, match="killed"):
        scene.images("1.jpg").start(LabelWorker)
    assert scene.ledger.label_counts("default").decided == 0
    monkeypatch.undo()
    scene.start(LabelWorker)
    assert scene.asked == ["1.jpg"]
    assert counts(scene) == (1, 1, 0, 1)
    assert sorted(scene.left) == ["-1", "1.jpg"]


def test_what_is_known_is_decided_while_the_rest_is_looked_at(scene: Scene) -> None:
    """Its index does not wait for a call."""
    go = threading.Event()
    scene.images("1.jpg").run("monday")

    def look(_: str) -> float:
        assert go.wait(10)
        return 95.0

    scene.images("0.jpg").label = look
    with alongside(scene, LabelWorker):
        soon(lambda: scene.left == ["1.jpg"])
        go.set()
    assert scene.left == ["1.jpg", "0.jpg", "-1"]


# --- what every image of one worker of a fleet fails for -----------------------------------------


@pytest.fixture
def refused(scene: Scene) -> tuple[Decider, list[Decision]]:
    """A decider that may see no image, and what it has handed on."""

    def refuse(_: str) -> float:
        raise client_error("AccessDenied", 403)

    scene.images("1.jpg", "2.jpg").label = refuse
    services, handed = scene.services(), list[Decision]()
    made = Decider(scene.settings, services, handed.extend, scene.stop, LabelCounts())
    for page in services.bucket.pages():
        made.page(page)
    soon(lambda: len(scene.asked) == 2 and not made._pool.held)
    return made, handed


def test_what_is_kept_back_is_decided_once_another_worker_has_a_success(
    scene: Scene, refused: tuple[Decider, list[Decision]]
) -> None:
    made, handed = refused
    made.try_again()
    scene.ledger.decide([Decision("default", 2, "3.jpg", NO_PICTURE, failure="empty")]).result()
    made.try_again()
    assert handed == []
    scene.ledger.decide([Decision("default", 2, "4.jpg", NO_PICTURE)]).result()
    made.try_again()
    assert [one.index for one in handed] == ["1.jpg", "2.jpg"]
    assert all("AccessDenied" in str(one.failure) for one in handed)
    assert counts(scene)[:3] == (4, 0, 3)
    made.close()


def test_where_nothing_comes_of_the_others_either_none_counts_as_failed(
    scene: Scene, refused: tuple[Decider, list[Decision]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, handed = refused
    monkeypatch.setattr(suspicion, "SILENT_SECONDS", 0.02)
    made.try_again()
    time.sleep(0.03)
    with pytest.raises(RunError, match="no image could be looked at, 2 were tried"):
        made.try_again()
    assert (handed, counts(scene)) == ([], (0, 0, 0, 0))
    made.close()
