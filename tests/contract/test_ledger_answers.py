"""What every ledger promises about answers and about what a run was begun with."""

from __future__ import annotations

import pytest

from tests.contract.conftest import CAR, LINES, RUN, Open, decision, wait
from workers.answer import Answer, Handed, LabelAnswer, TextAnswer
from workers.ledger import Ledger
from workers.model import NO_PICTURE, Picture

PICTURE = Picture('"0123456789abcdef0123456789abcdef"', 1_234_567)


def labels(floor: float = 55.0, model: str = "3.0") -> LabelAnswer:
    return LabelAnswer(floor, model, (CAR,))


def the_one(ledger: Ledger, picture: Picture = PICTURE, kind: str = "labels") -> bytes | None:
    return ledger.answers(kind, [picture]).get(picture)


def test_a_new_ledger_has_no_answers(ledger: Ledger) -> None:
    assert ledger.answers("labels", [PICTURE]) == {}
    assert ledger.answers("labels", []) == {}
    assert list(ledger.all_answers()) == []


@pytest.mark.parametrize("answer", [labels(), TextAnswer(LINES), TextAnswer(()), Handed()])
def test_an_answer_is_still_there_after_a_kill(open_again: Open, answer: Answer) -> None:
    """Nothing is closed: whatever was acknowledged must be with the other one already."""
    wait(open_again().keep(PICTURE, answer))
    after = open_again()
    assert the_one(after, kind=answer.KIND) == answer.pack()
    assert list(after.all_answers()) == [(answer.KIND, PICTURE, answer.pack())]


def test_what_is_asked_for_after_an_answer_is_durable_with_it(open_again: Open) -> None:
    """A decision without its answer would be all that is left of what was paid for."""
    ledger = open_again()
    kept = [ledger.keep(Picture(f'"{number}"', number), labels()) for number in range(1, 120)]
    ledger.decide([decision("1.jpg")]).result(30)
    assert all(future.done() for future in kept)
    assert len(list(open_again().all_answers())) == 119


def test_kinds_do_not_mix(ledger: Ledger) -> None:
    wait(ledger.keep(PICTURE, labels()), ledger.keep(PICTURE, TextAnswer(LINES)))
    assert the_one(ledger) == labels().pack()
    assert the_one(ledger, kind="text") == TextAnswer(LINES).pack()
    assert the_one(ledger, kind="handed") is None
    assert sorted(kind for kind, _, _ in ledger.all_answers()) == ["labels", "text"]


ALIKE = [
    PICTURE,
    Picture(PICTURE.etag, 7),
    Picture('"0123456789abcdef0123456789abcdef-2"', PICTURE.size),
    Picture(PICTURE.etag.strip('"'), PICTURE.size),
    Picture(PICTURE.etag.upper(), PICTURE.size),
    Picture('W/"weak"', 10**13),
    Picture('"1 2"', 3),
    Picture('"1"', 23),
]


def test_two_pictures_never_share_an_answer(ledger: Ledger) -> None:
    answers = {picture: labels(model=str(number)) for number, picture in enumerate(ALIKE)}
    wait(*(ledger.keep(picture, answer) for picture, answer in answers.items()))
    packed = {picture: answer.pack() for picture, answer in answers.items()}
    assert ledger.answers("labels", ALIKE) == packed
    assert {picture: data for _, picture, data in ledger.all_answers()} == packed


def test_very_many_are_asked_for_at_once(ledger: Ledger) -> None:
    pictures = [Picture(f'"{number:032x}"', 1000 + number) for number in range(1000)]
    wait(*(ledger.keep(picture, labels()) for picture in pictures[::3]))
    assert set(ledger.answers("labels", pictures)) == set(pictures[::3])


def test_what_nobody_knows_the_picture_of_has_no_answer(ledger: Ledger) -> None:
    asked = [PICTURE, NO_PICTURE, NO_PICTURE, Picture('"e"', 0), Picture('"e"', 0)]
    wait(ledger.keep(PICTURE, labels()))
    assert set(ledger.answers("labels", asked)) == {PICTURE}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("floors", "stays"), [((55.0, 40.0), 40.0), ((40.0, 55.0), 40.0), ((0.5, 0.25), 0.25)]
)
def test_the_labels_that_were_asked_for_with_the_lowest_floor_stay(
    open_again: Open, floors: tuple[float, float], stays: float, at_once: bool
) -> None:
    """They serve every question that the others serve."""
    ledger = open_again()
    futures = []
    for floor in floors:
        futures.append(ledger.keep(PICTURE, labels(floor)))
        if not at_once:
            wait(*futures)
    wait(*futures)
    assert the_one(open_again()) == labels(stays).pack()


def test_of_two_alike_the_first_answer_stays(ledger: Ledger) -> None:
    wait(ledger.keep(PICTURE, labels(model="3.0")))
    wait(ledger.keep(PICTURE, labels(model="3.1")))
    assert the_one(ledger) == labels(model="3.0").pack()


def test_an_answer_is_of_every_run_and_of_no_count(ledger: Ledger) -> None:
    wait(ledger.keep(PICTURE, labels()))
    assert ledger.label_counts(RUN).decided == 0
    assert ledger.progress(RUN).done == 0
    assert ledger.undecided(RUN, ["1.jpg"]) == {"1.jpg"}


# --- what a run was begun with -------------------------------------------------------------------


def test_what_a_run_is_begun_with_stays(open_again: Open) -> None:
    first = {"label": "Car", "prefix": "", "text_pattern": "ü|\\d"}
    wait(open_again().settle(RUN, first))
    wait(open_again().settle(RUN, {"label": "Truck", "text_on": "image"}))
    assert open_again().settled(RUN) == {**first, "text_on": "image"}


def test_runs_are_settled_each_for_itself(ledger: Ledger) -> None:
    assert ledger.settled(RUN) == {}
    wait(ledger.settle(RUN, {"label": "Car"}), ledger.settle("another", {"label": "Truck"}))
    assert ledger.settled("another") == {"label": "Truck"}
    assert ledger.settled(RUN) == {"label": "Car"}
