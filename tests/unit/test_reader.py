"""How B reads copies of a picture, and messages that do not say which picture it is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.fakes import client_error
from tests.unit.scene import Scene, alongside, soon
from tests.unit.unruly_queue import written_by_hand
from workers import reader
from workers.answer import TextAnswer
from workers.errors import RunError, StoppedError
from workers.ledger import sqlite_file
from workers.model import Picture, Result, TextLine
from workers.text_worker import TextWorker

COPIES = ("1.jpg", "2.jpg", "3.jpg")


@pytest.fixture
def copies(scene: Scene) -> Scene:
    """One picture that A has found under three keys."""
    return scene.copies(*COPIES, of="one picture").labelled(*COPIES).end(3)


def texts(scene: Scene, run: str = "default") -> dict[str, str]:
    return {
        key: "|".join(li["text"] for li in row["lines"]) for key, row in scene.results(run).items()
    }


def all_are_taken(scene: Scene) -> bool:
    return all(message.receives for message in scene.queue.messages)


def when_all_are_taken(scene: Scene, then: Callable[[str], str]) -> Callable[[str], str]:
    """The copies are in flight together by the time of the first answer."""

    def read(key: str) -> str:
        soon(lambda: all_are_taken(scene))
        time.sleep(0.05)
        return then(key)

    return read


def test_copies_in_flight_together_cost_one_call(copies: Scene) -> None:
    copies.text = when_all_are_taken(copies, lambda _: "AB 123")
    copies.start(TextWorker)
    assert copies.asked == ["one picture"]
    assert texts(copies) == dict.fromkeys(COPIES, "AB 123")
    assert [row["known"] for row in copies.results().values()].count(True) == 2
    assert copies.left == []


def test_those_of_two_runs_too(scene: Scene) -> None:
    scene.copies("1.jpg", "2.jpg", of="one picture")
    scene.labelled("1.jpg", run="yesterday").labelled("2.jpg").end(1)
    scene.text = when_all_are_taken(scene, lambda _: "AB 123")
    scene.start(TextWorker)
    assert scene.asked == ["one picture"]
    assert (texts(scene, "yesterday"), texts(scene)) == ({"1.jpg": "AB 123"}, {"2.jpg": "AB 123"})


def test_a_copy_that_comes_before_the_answer_is_durable_waits_for_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for the answer before that finds none, and would pay for it again."""

    def read(_: str) -> str:
        # from now on a commit is waited for
        monkeypatch.setattr(sqlite_file, "GATHER_SECONDS", 0.3)
        read_at.append(time.monotonic())
        return "AB 123"

    read_at: list[float] = []
    scene.copies("1.jpg", "2.jpg", of="one picture").labelled("1.jpg").text = read
    with alongside(scene, TextWorker):
        soon(lambda: read_at)
        time.sleep(0.02)
        scene.labelled("2.jpg").end(2)
    assert scene.asked == ["one picture"]


@pytest.mark.parametrize("together", [True, False])
def test_a_copy_right_behind_the_answer_costs_none_though_a_table_shows_it_late(
    scene: Scene, together: bool
) -> None:
    scene.copies("1.jpg", "2.jpg", of="one picture").labelled("1.jpg").shows_late()
    scene.text = when_all_are_taken(scene, lambda _: "AB 123")
    if together:
        scene.labelled("2.jpg").end(2).start(TextWorker)
    else:
        with alongside(scene, TextWorker):
            soon(scene.results)
            time.sleep(0.05)
            scene.labelled("2.jpg").end(2)
    assert scene.asked == ["one picture"]
    assert texts(scene) == dict.fromkeys(("1.jpg", "2.jpg"), "AB 123")


@pytest.mark.parametrize("completed", [True, False])
def test_what_was_read_by_somebody_who_was_killed_then_is_not_read_again(
    scene: Scene, completed: bool
) -> None:
    scene.images("1.jpg").labelled("1.jpg").end(1).shows_late()
    lines = (TextLine("AB 123", 99.0),)
    if completed:
        # though no answer is kept: it was doubtful
        scene.ledger.complete([Result("default", "1.jpg", lines=lines)]).result()
    else:
        scene.ledger.keep(scene.picture("1.jpg"), TextAnswer(lines)).result()
    scene.queue.messages[0].receives = 1
    scene.start(TextWorker)
    assert (scene.asked, texts(scene)) == ([], {"1.jpg": "AB 123"})


@pytest.mark.parametrize("before", [0, 1])
def test_a_duplicate_of_one_that_is_done_costs_none_though_a_table_shows_it_late(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    def looked_for(kind: str, pictures: list[Picture], just_kept: set[Picture]) -> Any:
        looks.extend(pictures)
        return answers(kind, pictures, just_kept)

    scene.images("1.jpg", "2.jpg").labelled("1.jpg").shows_late()
    duplicate = replace(scene.queue.messages[0], receives=before)
    looks: list[Picture] = []
    answers = scene.ledger.answers
    monkeypatch.setattr(scene.ledger, "answers", looked_for)
    with alongside(scene, TextWorker):
        soon(lambda: not scene.left)
        scene.queue.messages.append(duplicate)
        soon(lambda: not scene.left)
        scene.labelled("2.jpg").end(2)
    assert sorted(scene.asked) == ["1.jpg", "2.jpg"]
    assert scene.ledger.progress("default").done == 2
    # that it is done is known without it
    assert looks.count(scene.picture("1.jpg")) == 1


def test_what_is_asked_for_by_hand_twice_is_paid_for_once(scene: Scene) -> None:
    """No answer is kept of it, which would tell: nobody knows its picture."""
    scene.images("1.jpg", "2.jpg").shows_late().queue.add(written_by_hand("1.jpg"))
    with alongside(scene, TextWorker):
        soon(lambda: not scene.left)
        scene.queue.add(written_by_hand("1.jpg"))
        soon(lambda: not scene.left)
        scene.labelled("2.jpg").end(1)
    assert sorted(scene.asked) == ["1.jpg", "2.jpg"]


def test_what_one_worker_of_a_fleet_may_not_read_failed_once_another_has_read_some(
    scene: Scene,
) -> None:
    def refuse(**_: Any) -> Any:
        raise client_error("AccessDenied", 403)

    scene.images("1.jpg", "2.jpg").labelled("1.jpg").end(2).s3.get_object = refuse
    with alongside(scene, TextWorker):
        soon(lambda: all_are_taken(scene))
        time.sleep(0.05)
        assert scene.results() == {}
        scene.ledger.complete([Result("default", "2.jpg", (), ())]).result()
    assert "AccessDenied" in scene.results()["1.jpg"]["failure"]
    assert scene.left == []


def test_where_the_first_copy_is_gone_the_next_one_is_read_for_all(copies: Scene) -> None:
    def get(**request: Any) -> Any:
        if request["Key"] == "1.jpg":
            soon(lambda: all_are_taken(copies))
            time.sleep(0.05)
            raise client_error("NoSuchKey", 404)
        return get_object(**request)

    get_object, copies.s3.get_object = copies.s3.get_object, get
    copies.start(TextWorker)
    assert copies.asked == ["one picture"]
    failures = {key: row["failure"] for key, row in copies.results().items()}
    assert failures.pop("1.jpg").startswith("gone")
    assert failures == {"2.jpg": None, "3.jpg": None}
    assert copies.left == []


def test_copies_are_given_back_with_the_one_that_they_wait_for(
    copies: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(_: str) -> str:
        if not failed:
            failed.append(True)
            raise client_error("Strange", 403)
        return "AB 123"

    monkeypatch.setattr(reader, "REDELIVERY_SECONDS", 1)
    failed: list[bool] = []
    copies.queue.second = 0.01
    copies.text = when_all_are_taken(copies, fail_once)
    copies.start(TextWorker, retry_seconds=0.001)
    assert copies.asked == ["one picture"] * 2
    assert texts(copies) == dict.fromkeys(COPIES, "AB 123")


@pytest.mark.parametrize("outcome", ["an answer", "a failure"])
def test_a_stopped_b_keeps_or_gives_back_the_copies_too(scene: Scene, outcome: str) -> None:
    def stop(_: str) -> str:
        scene.stop.ask()
        # by then the threads are let go of
        time.sleep(0.1)
        if outcome == "a failure":
            raise client_error("InvalidParameterException")
        return "AB 123"

    scene.queue.second = 200
    scene.copies(*COPIES, of="one picture").labelled(*COPIES).end(4)
    scene.text = when_all_are_taken(scene, stop)
    with pytest.raises(StoppedError):
        scene.start(TextWorker)
    # what is not done is there for whoever is free
    now, left = time.monotonic(), set(COPIES) - set(scene.results())
    assert len(left) == (0 if outcome == "an answer" else 2)
    assert {it.body for it in scene.queue.messages if it.visible_from <= now} - {"-1"} == left
    scene.images("4.jpg").labelled("4.jpg").text = lambda _: "AB 123"
    scene.start(TextWorker)
    assert scene.asked == ["one picture"] * (1 if outcome == "an answer" else 2) + ["4.jpg"]


def test_what_hangs_holds_up_none_of_its_copies(scene: Scene) -> None:
    def hang_once(_: str) -> str:
        if len(scene.asked) == 1:
            go.wait(30)
        return "AB 123"

    go = threading.Event()
    scene.copies("1.jpg", "2.jpg", of="one picture").labelled("1.jpg", "2.jpg").end(2)
    scene.text = hang_once
    with alongside(scene, TextWorker, visibility_timeout=0.3, retry_seconds=0.06):
        soon(lambda: len(scene.results()) == 2)
        go.set()
    assert texts(scene) == {"1.jpg": "AB 123", "2.jpg": "AB 123"}


def test_an_answer_is_used_after_a_kill_before_its_result(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> Any:
        scene.ledger.settle("other", {"x": "y"}).result()
        raise RunError("killed")

    monkeypatch.setattr(scene.ledger, "complete", killed)
    with pytest.raises(RunError, match="killed"):
        scene.images("1.jpg").labelled("1.jpg").end(1).start(TextWorker)
    monkeypatch.undo()
    assert scene.results() == {}
    scene.queue.messages[0].visible_from = 0
    scene.start(TextWorker)
    assert scene.asked == ["1.jpg"]
    assert texts(scene) == {"1.jpg": "text of 1.jpg"}


# --- messages that do not say which picture it is ------------------------------------------------


def before_sizes(scene: Scene, key: str) -> dict[str, Any]:
    """As the version before wrote it: one label, and no size."""
    found = {"etag": scene.s3.etag(key), "label": {"name": "Car", "confidence": 95.0, "boxes": []}}
    return written_by_hand(key, run="default", shard="0", found=json.dumps(found))


def test_messages_of_the_version_before_are_read(scene: Scene) -> None:
    """An ETag without a size does not tell a picture from all others: it is no answer's name."""
    scene.images("1.jpg", "2.jpg")
    for key in ("1.jpg", "2.jpg"):
        scene.queue.add(before_sizes(scene, key))
    scene.copies("2.jpg", of="another").end(2).start(TextWorker)
    rows = scene.results()
    assert rows["1.jpg"]["labels"] == [{"name": "Car", "confidence": 95.0, "boxes": []}]
    assert rows["2.jpg"]["failure"].startswith("replaced")
    assert list(scene.ledger.all_answers()) == []


def test_what_a_person_asks_for_is_looked_at_each_time(scene: Scene) -> None:
    """It is whatever lies there now, and is kept as no picture's answer."""
    scene.images("1.jpg").queue.add(written_by_hand("1.jpg", run="default"))
    scene.end(0).start(TextWorker)
    scene.copies("1.jpg", of="another").queue.add(written_by_hand("1.jpg", run="again"))
    scene.end(0, run="again")
    scene.start(TextWorker, run="again")
    assert (texts(scene), texts(scene, "again")) == (
        {"1.jpg": "text of 1.jpg"},
        {"1.jpg": "text of another"},
    )
    assert list(scene.ledger.all_answers()) == []


def test_a_message_that_lies_about_its_picture_spoils_no_answer(scene: Scene) -> None:
    scene.copies("1.jpg", of="one").copies("2.jpg", of="another")
    scene.send({"1.jpg": scene.picture("2.jpg")}).labelled("2.jpg").end(2).start(TextWorker)
    assert scene.results()["1.jpg"]["failure"].startswith("replaced")
    assert texts(scene)["2.jpg"] == "text of another"
    assert scene.ledger.answers("text", [Picture(scene.s3.etag("1.jpg"), 0)]) == {}
