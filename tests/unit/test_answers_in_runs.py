"""Answers are kept, runs are cheap: what a run after another one pays for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.fakes import client_error
from tests.unit.scene import Scene
from workers.errors import RunError
from workers.label_worker import LabelWorker
from workers.text_worker import TextWorker

SURE = {"1.jpg": 97.0, "2.jpg": 92.0, "3.jpg": 85.0, "4.jpg": 60.0, "5.jpg": None}


def lines(scene: Scene, run: str) -> list[str]:
    return (scene.settings.state_dir / run / "output.txt").read_text().splitlines()


def test_the_same_again_costs_nothing_and_comes_to_the_same(scene: Scene) -> None:
    scene.images(*SURE).label = SURE.get
    assert scene.run("monday") == (sorted(SURE), ["1.jpg", "2.jpg"])
    assert scene.run("tuesday") == ([], [])
    assert lines(scene, "tuesday") == lines(scene, "monday")
    assert len(lines(scene, "tuesday")) == 2
    first, again = (scene.results(run) for run in ("monday", "tuesday"))
    assert [row["known"] for row in [*first.values(), *again.values()]] == [False] * 2 + [True] * 2
    counts = scene.ledger.label_counts("tuesday")
    assert (counts.decided, counts.labelled, counts.known) == (5, 2, 5)
    assert scene.ledger.progress("tuesday").known == 2


def test_each_worker_says_what_it_knew(scene: Scene, said: list[dict[str, Any]]) -> None:
    scene.images(*SURE).label = SURE.get
    scene.run("monday")
    scene.images("6.jpg")
    said.clear()
    scene.run("tuesday", progress_seconds=1000)
    (known,) = (line for line in said if line["event"] == "known")
    assert (known["images"], known["labelled"]) == (5, 2)
    a, b = (line for line in said if line["event"] == "summary")
    assert (a["done"], a["known"], a["label_calls"]) == (6, 5, 1)
    assert (b["done"], b["known"], b["text_calls"]) == (2, 2, 0)


def test_only_what_is_new_or_replaced_is_paid_for(scene: Scene) -> None:
    """A copy under a new name is not new, and what is gone is in no run after."""
    scene.images(*(f"{number}.jpg" for number in range(10)))
    scene.run("monday")
    for gone in ("0.jpg", "1.jpg", "2.jpg"):
        del scene.s3.objects[gone]
    scene.images("new.jpg").copies("3.jpg", of="another").copies("copy.jpg", of="4.jpg")
    assert scene.run("tuesday") == (["3.jpg", "new.jpg"], ["another", "new.jpg"])
    assert lines(scene, "tuesday")[0] == "3.jpg: text of another"
    kept = {f"{number}.jpg" for number in range(3, 10)}
    assert set(scene.results("tuesday")) == kept | {"new.jpg", "copy.jpg"}
    assert scene.results("tuesday")["copy.jpg"]["lines"][0]["text"] == "text of 4.jpg"


def test_what_failed_is_tried_again_and_only_that(scene: Scene) -> None:
    scene.images("1.jpg", "2.jpg", "3.jpg")
    get = scene.s3.get_object

    def forbid(**request: Any) -> Any:
        if request["Key"] == "2.jpg":
            raise client_error("AccessDenied", 403)
        return get(**request)

    scene.s3.get_object = forbid
    scene.run("monday")
    # with nothing else to be looked at, it is still about this image, and the run ends
    for run in ("tuesday", "wednesday"):
        assert scene.run(run) == (["2.jpg"], [])
        assert scene.ledger.label_counts(run).failed == 1
    scene.s3.get_object = get
    assert scene.run("thursday") == (["2.jpg"], ["2.jpg"])


def test_another_confidence_is_answered_from_what_is_kept(scene: Scene) -> None:
    scene.images(*SURE).label = SURE.get
    scene.run("at-90")
    assert scene.run("at-80", min_confidence=80) == ([], ["3.jpg"])
    assert scene.run("at-95", min_confidence=95) == ([], [])
    assert scene.run("at-55", min_confidence=55) == ([], ["4.jpg"])
    for run, found in (("at-80", 3), ("at-95", 1), ("at-55", 4)):
        assert len(scene.results(run)) == len(lines(scene, run)) == found


def test_another_label_too(scene: Scene) -> None:
    seen = {"1.jpg": {"Car": 95.0}, "2.jpg": {"Truck": 95.0}, "3.jpg": {"Car": 91, "Truck": 99.0}}
    scene.images(*seen).label = seen.get
    assert scene.run("cars")[1] == ["1.jpg", "3.jpg"]
    assert scene.run("trucks", label=("Truck",)) == ([], ["2.jpg"])
    assert scene.run("both", label=("Car", "Truck")) == ([], [])
    assert {key: len(row["labels"]) for key, row in scene.results("both").items()} == {
        "1.jpg": 1,
        "2.jpg": 1,
        "3.jpg": 2,
    }


def test_a_confidence_below_what_was_asked_for_asks_again_once(scene: Scene) -> None:
    seen = {"1.jpg": 97.0, "2.jpg": 45.0}
    scene.images(*seen).label = seen.get
    scene.run("at-90")
    assert set(scene.floors) == {55.0}
    assert scene.run("at-40", min_confidence=40) == (["1.jpg", "2.jpg"], ["2.jpg"])
    assert scene.floors[2:] == [40.0, 40.0]
    # what was asked for with the lower floor serves both
    assert scene.run("at-90-again") == ([], [])
    assert scene.run("at-44", min_confidence=44) == ([], [])
    assert set(scene.results("at-44")) == set(seen)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"text_pattern": r"\d"}, ["7"]),
        ({"text_confidence": 99.5}, []),
        ({"text_on": "label"}, []),
        ({}, ["7", "TAXI"]),
    ],
)
def test_another_text_is_chosen_from_what_was_read(
    scene: Scene, fields: dict[str, Any], left: list[str]
) -> None:
    scene.images("1.jpg").text = lambda _: "7\nTAXI"
    scene.run("monday")
    assert scene.run("tuesday", **fields) == ([], [])
    assert [line["text"] for line in scene.results("tuesday")["1.jpg"]["lines"]] == left


# --- one question a run --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"min_confidence": 80.0}, "CARTEXT_MIN_CONFIDENCE=90.0, not 80.0"),
        ({"label": ("Car", "Truck")}, "CARTEXT_LABEL=Car, not Car,Truck"),
        ({"prefix": "new/"}, "CARTEXT_PREFIX=, not new/"),
    ],
)
def test_a_run_that_a_began_with_other_settings_is_refused(
    scene: Scene, fields: dict[str, Any], words: str
) -> None:
    scene.images("1.jpg").start(LabelWorker)
    with pytest.raises(RunError, match=rf"'default' was begun with {words}; .* CARTEXT_RUN a new"):
        scene.start(LabelWorker, **fields)
    scene.start(LabelWorker)
    assert scene.asked == ["1.jpg"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text_confidence": 70.0}, "CARTEXT_TEXT_CONFIDENCE=80.0, not 70.0"),
        ({"text_pattern": "A"}, "CARTEXT_TEXT_PATTERN=, not A"),
        ({"text_on": "label"}, "CARTEXT_TEXT_ON=image, not label"),
    ],
)
def test_a_run_that_b_began_with_other_settings_is_refused(
    scene: Scene, fields: dict[str, Any], words: str
) -> None:
    """Also when it is finished: what its output has is not what is asked for now."""
    scene.found("1.jpg").end(1).start(TextWorker)
    with pytest.raises(RunError, match=f"begun with {words}"):
        scene.start(TextWorker, **fields)
    scene.start(TextWorker)


def test_what_is_refused_begins_no_run(scene: Scene) -> None:
    with pytest.raises(RunError, match="may cost"):
        scene.images("1.jpg", "a/2.jpg").start(LabelWorker, budget_dollars=0.001)
    scene.start(LabelWorker, prefix="a/")
    assert scene.asked == ["a/2.jpg"]


# --- which pictures are one ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("etags", "why"),
    [
        ({"1.jpg": '"0f-2"', "2.jpg": '"1f-2"'}, "of parts"),
        ({"1.jpg": f'"{"a" * 32}"', "2.jpg": f'"{"b" * 32}"'}, "of a key"),
        ({"1.jpg": '"same-2"', "2.jpg": '"same-2"'}, "the same, but another size"),
    ],
)
def test_two_pictures_never_share_an_answer(scene: Scene, etags: dict[str, str], why: str) -> None:
    get = scene.s3.get_object
    # of such an object the ETag is no MD5
    scene.s3.get_object = lambda **it: {**get(**it), "ServerSideEncryption": "aws:kms"}
    scene.s3.etags = etags
    scene.copies("1.jpg", of="short").copies("2.jpg", of="much longer")
    assert scene.run("monday") == (["1.jpg", "2.jpg"], ["much longer", "short"]), why
    assert scene.run("tuesday") == ([], [])
    texts = {key: row["lines"][0]["text"] for key, row in scene.results("tuesday").items()}
    assert texts == {"1.jpg": "text of short", "2.jpg": "text of much longer"}


def test_the_same_bytes_in_other_parts_are_looked_at_again(scene: Scene) -> None:
    """Nobody can tell that they are the same."""
    scene.copies("1.jpg", "2.jpg", of="the same").s3.etags = {"1.jpg": '"a-2"', "2.jpg": '"a-3"'}
    assert scene.run("monday")[0] == ["1.jpg", "2.jpg"]


def test_what_is_replaced_while_a_looks_is_nobodys_answer(scene: Scene) -> None:
    def replace_it(key: str) -> float:
        if not done:
            done.append(key)
            scene.copies(key, of="the new one")
        return 95.0

    done: list[str] = []
    scene.images("1.jpg").label = replace_it
    before = scene.picture("1.jpg")
    with pytest.raises(RunError, match=r"every image failed, 1 of 1 .* replaced"):
        scene.start(LabelWorker)
    assert scene.ledger.answers("labels", [before, scene.picture("1.jpg")]) == {}
    assert scene.run("again") == (["1.jpg"], ["the new one"])


def test_what_is_replaced_between_a_and_b_is_not_read_for_it(scene: Scene) -> None:
    scene.images("1.jpg", "2.jpg")
    before = scene.picture("1.jpg")
    scene.start(LabelWorker)
    scene.copies("1.jpg", of="the new one").start(TextWorker)
    failures = {key: row["failure"] for key, row in scene.results().items()}
    assert failures["1.jpg"].startswith("replaced")
    assert failures["2.jpg"] is None
    assert scene.ledger.answers("text", [before, scene.picture("1.jpg")]) == {}
    assert scene.run("again") == (["1.jpg"], ["the new one"])
