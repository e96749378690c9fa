"""What a run asks, and which answers serve it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.answer import LIKELY, LabelAnswer, TextAnswer
from workers.model import Box, Label, TextLine
from workers.question import LabelQuestion, TextQuestion

CARS = LabelQuestion(("Car",), 90.0)
BOX = Box(0.5, 0.5, 0.25, 0.25)


def answer(*labels: Label, floor: float = 55.0) -> LabelAnswer:
    return LabelAnswer(floor, "3.0", labels)


def line(
    text: str, left: float, top: float, width: float = 0.1, confidence: float = 99.0
) -> TextLine:
    right, bottom = left + width, top + 0.05
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return TextLine(text, confidence, corners)


@pytest.mark.parametrize(
    ("confidence", "found"),
    [(89.999, False), (90.0, False), (90.00001, True), (90.01, True), (100.0, True)],
)
def test_the_confidence_must_be_higher_than_90(confidence: float, found: bool) -> None:
    """Also when it comes out of a ledger."""
    kept = answer(Label("Car", confidence))
    for seen in (CARS.seen(kept), CARS.ask(kept.pack())):
        assert seen
        assert bool(seen.found) is found
        assert (seen.near is None) is found


def test_only_the_labels_that_are_looked_for_count() -> None:
    kept = answer(Label("Vehicle", 99.0), Label("Truck", 95.0), Label("Bus", 91.0))
    assert CARS.seen(kept) == ((), None)
    both = LabelQuestion(("Bus", "Truck"), 90.0)
    assert both.seen(kept).found == (Label("Truck", 95.0), Label("Bus", 91.0))
    surer = LabelQuestion(("Bus", "Truck"), 96.0)
    assert surer.seen(kept).near == Label("Truck", 95.0)


@pytest.mark.parametrize(
    ("confidence", "floor"),
    [(90.0, 55.0), (55.0, 55.0), (40.0, 40.0), (40.123456, 40.12345), (100 / 6, 16.66666)],
)
def test_everything_is_asked_for_from_55_percent_up_or_what_the_question_needs(
    confidence: float, floor: float
) -> None:
    question = LabelQuestion(("Car",), confidence)
    assert question.floor == floor
    assert question.ask(answer(floor=floor).pack()), "else it is paid for each time"


@pytest.mark.parametrize(("confidence", "serves"), [(90, True), (55, True), (54.9, False)])
def test_an_answer_does_not_serve_a_question_below_its_floor(
    confidence: float, serves: bool
) -> None:
    asked = LabelQuestion(("Car",), confidence).ask(answer(Label("Car", 60.0)).pack())
    assert (asked is not None) is serves


ratios = st.floats(-1, 1.5, allow_nan=False)
labels = st.builds(
    Label,
    st.text(st.characters(exclude_characters="\n"), min_size=1),
    st.integers(0, 10_000_000).map(lambda number: number / 100_000),
    st.lists(st.builds(Box, ratios, ratios, ratios, ratios), max_size=4).map(tuple),
)


@given(st.lists(labels, max_size=40), st.integers(0, 100))
def test_labels_are_packed_without_a_confidence_that_moves(found: list[Label], floor: int) -> None:
    kept = answer(*found, floor=float(floor))
    back = LabelAnswer.unpack(kept.pack())
    assert (back.floor, back.model) == (floor, "3.0")
    assert [(it.name, it.confidence) for it in back.labels] == [
        (it.name, it.confidence) for it in found
    ]
    for one, other in zip(kept.labels, back.labels, strict=True):
        for box, again in zip(one.boxes, other.boxes, strict=True):
            assert (again.left, again.top, again.width, again.height) == pytest.approx(
                (box.left, box.top, box.width, box.height), abs=1 / 20_000
            )


def test_25_labels_with_as_many_boxes_take_less_than_600_bytes() -> None:
    chance = random.Random(1)
    names = chance.sample(LIKELY.split(","), 20) + [f"Rare Thing {n}" for n in range(5)]
    boxes = (Box(chance.random(), chance.random(), chance.random(), chance.random()),)
    packed = answer(*(Label(name, round(chance.uniform(55, 100), 5), boxes) for name in names))
    assert len(packed.pack()) < 600 - len('"0123456789abcdef0123456789abcdef"') - 20


@pytest.mark.parametrize("kind", [LabelAnswer, TextAnswer])
def test_what_nobody_packed_is_said_to_be_none(kind: type[LabelAnswer | TextAnswer]) -> None:
    whole = answer(Label("Car", 91.0, (BOX,))).pack()
    for data in (b"", b"x", bytes(8), whole[:-1], whole[:12]):
        with pytest.raises(ValueError, match="no packed"):
            kind.unpack(data)


def test_text_comes_back_as_it_was() -> None:
    kept = TextAnswer((line("IT'S MONDAY", 0.1, 0.2), TextLine("\ud800\n", 1.5)))
    assert TextAnswer.unpack(kept.pack()) == kept


def test_text_that_is_sure_enough_and_like_the_pattern() -> None:
    lines = (line("5AU 5341", 0, 0), line("TAXI", 0, 0), line("7", 0, 0, confidence=79.99))
    assert TextQuestion(80.0).chosen(lines, ()) == lines[:2]
    assert TextQuestion(80.0, pattern=r"\d").chosen(lines, ()) == lines[:1]
    assert TextQuestion(0, pattern="^[0-9]$").chosen(lines, ()) == lines[2:]


def test_only_the_text_on_a_box_of_the_label() -> None:
    plate, half = line("plate", 0.6, 0.6), line("half", 0.45, 0.6)
    sign, less = line("sign", 0.1, 0.1), line("less", 0.44, 0.6)
    question = TextQuestion(80.0, on_label=True)
    car = Label("Car", 99.0, (Box(0.0, 0.9, 0.1, 0.1), BOX))
    assert question.chosen((plate, half, sign, less), (car,)) == (plate, half)
    assert question.chosen((plate,), (Label("Car", 99.0),)) == ()
    assert question.chosen((TextLine("nowhere", 99.0),), (car,)) == ()
