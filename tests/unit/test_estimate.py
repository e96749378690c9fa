"""What a run still costs, from what is listed and the answers that are kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import MakeSettings
from workers import estimate
from workers.answer import Answer, Handed, LabelAnswer, TextAnswer
from workers.estimate import Estimate
from workers.ledger import SqliteLedger
from workers.model import Image, Label

NO_CAR = LabelAnswer(55.0, "3.0", (Label("Tree", 99.0), Label("Car", 80.0)))
CAR = LabelAnswer(55.0, "3.0", (Label("Car", 95.0),))
SURE_ONLY = LabelAnswer(95.0, "3.0", (Label("Car", 99.0),))

Made = Callable[..., Estimate]


def picture(name: str) -> Image:
    return Image(f"{name}.jpg", len(name), f'"{name}"')


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


@pytest.fixture
def made(ledger: SqliteLedger, make_settings: MakeSettings) -> Made:
    """Estimates what these images cost, with these answers about them."""

    def make(
        *images: str, answers: dict[str, list[Answer]] | None = None, **fields: Any
    ) -> Estimate:
        for name, kept in (answers or {}).items():
            for each in kept:
                ledger.keep(picture(name).picture, each).result()
        estimate = Estimate(make_settings(**fields), ledger)
        # pages of two
        for first in range(0, len(images), 2):
            estimate.add([picture(name) for name in images[first : first + 2]])
        return estimate

    return make


@pytest.mark.parametrize(
    ("answers", "label_calls", "text_calls", "sure"),
    [
        ([], 1, 1, 0),
        ([NO_CAR], 0, 0, 0),
        ([CAR], 0, 1, 1),
        ([CAR, TextAnswer(())], 0, 0, 0),
        ([CAR, Handed()], 0, 0, 0),
        ([TextAnswer(())], 1, 0, 0),
        ([Handed()], 1, 0, 0),
        ([SURE_ONLY], 1, 1, 0),
    ],
    ids=lambda each: ",".join(a.KIND for a in each) if isinstance(each, list) else None,
)
def test_what_one_image_costs(
    answers: list[Answer], label_calls: int, text_calls: int, sure: int, made: Made
) -> None:
    told = made("a", answers={"a": answers})
    assert (told.label_calls, told.text_calls, told.sure) == (label_calls, text_calls, sure)
    assert (told.images, told.answered, told.new) == (1, 1 - label_calls, label_calls)
    assert told.dollars_at_most == pytest.approx((label_calls + text_calls) / 1000)
    assert told.dollars_at_least == pytest.approx((label_calls + sure) / 1000)


def test_an_answer_serves_another_label_and_another_confidence(made: Made) -> None:
    answers: dict[str, list[Answer]] = {"a": [NO_CAR]}
    for fields, text_calls in (
        ({}, 0),
        ({"min_confidence": 79.9}, 1),
        ({"label": ("Tree",)}, 1),
        ({"label": ("Truck",)}, 0),
    ):
        told = made("a", answers=answers, **fields)
        assert (told.label_calls, told.text_calls, told.too_high) == (0, text_calls, 0)


def test_an_answer_with_too_high_a_floor_is_said(made: Made) -> None:
    told = made("a", "b", "c", answers={"a": [CAR], "b": [SURE_ONLY]}, min_confidence=60)
    assert (told.answered, told.new, told.too_high) == (1, 2, 1)
    told = made("a", "b", "c", min_confidence=50)
    assert (told.answered, told.new, told.too_high) == (0, 3, 2)


def test_a_picture_that_comes_again_is_paid_for_once(made: Made) -> None:
    """In the same page or in another one."""
    told = made("a", "a", "b", "a", "b", "c", "c", answers={"c": [CAR]})
    assert (told.images, told.answered, told.new, told.copies) == (7, 2, 5, 3)
    assert (told.label_calls, told.text_calls, told.sure) == (2, 3, 1)
    assert told.all_copies


def test_what_cannot_be_looked_at_costs_nothing(made: Made) -> None:
    told = made()
    told.add(
        [Image("a.jpg", 0, '"a"'), Image("-1", 9, '"b"'), Image("c.jpg", 0, "", "gone: it is")]
    )
    assert (told.images, told.label_calls, told.text_calls) == (0, 0, 0)


def test_without_a_ledger_all_are_new(make_settings: MakeSettings) -> None:
    told = Estimate(make_settings(), None)
    told.add([picture("a"), picture("b"), picture("a")])
    assert (told.new, told.copies, told.label_calls, told.text_calls) == (3, 1, 2, 2)


def test_the_ledger_of_a_fleet_is_asked_for_texts_only(make_settings: MakeSettings) -> None:
    class Table:
        fleet = object()

        def __init__(self) -> None:
            self.asked: list[tuple[str, int]] = []

        def answers(self, kind: str, pictures: list[Any]) -> dict[Any, bytes]:
            self.asked.append((kind, len(pictures)))
            return {}

    ledger: Any = Table()
    Estimate(make_settings(), ledger).add([picture("a"), picture("b"), picture("a")])
    assert ledger.asked == [("labels", 2), ("text", 2)], "each picture once"


def test_beyond_a_bound_copies_are_not_told_apart_and_that_is_said(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "MOST_TOLD_APART", 2)
    told = made("a", "b", "a", "b")
    assert (told.copies, told.all_copies) == (2, True)
    told = made("a", "b", "c", "c", "a")
    assert (told.copies, told.all_copies) == (1, False)
    assert told.label_calls == 4, "at most, though three are enough"


def test_what_costs_nothing_takes_none_of_the_room(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "MOST_TOLD_APART", 1)
    told = made("a", "b", "c", "c", answers={"a": [CAR, Handed()], "b": [NO_CAR]})
    assert (told.copies, told.all_copies) == (1, True)


def test_the_memory_does_not_grow_with_the_pictures(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "MOST_TOLD_APART", 1000)
    told = Estimate(make_settings(), None)
    tracemalloc.start()
    try:
        for page in range(50):
            told.add([Image(f"{page}/{n}.jpg", 9, f'"{page}/{n}"') for n in range(1000)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told.new == 50_000
    assert peak < 2_000_000
