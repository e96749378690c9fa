"""What every ledger promises, whatever it is kept in."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.contract.conftest import (
    CAR,
    LINES,
    RUN,
    Open,
    all_of,
    decision,
    indexes_in,
    list_parts,
    result,
    wait,
)
from workers.ending import Ending, ending, expected, finished
from workers.ledger import Ledger
from workers.model import (
    Box,
    Label,
    LabelCounts,
    Listed,
    Part,
    Picture,
    RunEnd,
    RunProgress,
    TextLine,
)
from workers.output.rows import result_row

ODD = [
    "a\nb",
    "tab\t",
    "👩\u200d🚒.jpg",
    "quote'\".jpg",
    "%_+#?",
    "/lead",
    "-1.jpg",
    "\u0131",
    "x" * 1000,
]

# --- the label worker's side ---------------------------------------------------------------------


def test_an_empty_ledger_knows_nothing(ledger: Ledger) -> None:
    assert ledger.undecided(RUN, ["1.jpg"]) == ledger.not_done(RUN, ["1.jpg"]) == {"1.jpg"}
    assert ledger.undecided(RUN, []) == ledger.not_done(RUN, []) == set()
    assert ledger.label_counts(RUN) == LabelCounts(0, 0, 0)
    assert ledger.run_end(RUN) is None
    assert ledger.listed(RUN) == Listed()
    assert list(ledger.open_parts(RUN)) == []
    assert ledger.progress(RUN) == RunProgress(0, 0, 0)
    assert [*ledger.results(RUN), *ledger.unsent(RUN, all_of(1)), *ledger.failures(RUN)] == []
    assert [*ledger.labelled(RUN), *ledger.near(RUN)] == []


def test_what_is_decided_is_still_there_after_a_kill(open_again: Open) -> None:
    """Nothing is closed: whatever was acknowledged must be with the other one already."""
    before = open_again()
    found = decision("1.jpg", picture=Picture('"e"', 7), part=2)
    failed = decision("2.gif", None, failure="wrong format", part=2)
    wait(before.decide([found]), before.decide([failed]), before.decide([decision("3.jpg", None)]))
    after = open_again()
    assert after.undecided(RUN, ["1.jpg", "2.gif", "3.jpg", "4.jpg"]) == {"4.jpg"}
    assert list(after.unsent(RUN, all_of(2))) == [found]
    assert [(f.index, f.failure) for f in after.failures(RUN)] == [("2.gif", "wrong format")]
    assert list(after.unsent(RUN, all_of(1))) == []
    assert after.label_counts(RUN, recount=True) == LabelCounts(3, 1, 1)


def test_the_first_decision_stays(ledger: Ledger) -> None:
    wait(ledger.decide([decision("1.jpg")]))
    wait(ledger.decide([decision("1.jpg", None, failure="gone")]))
    assert [d.labels for d in ledger.unsent(RUN, all_of(1))] == [(CAR,)]
    assert list(ledger.failures(RUN)) == []
    assert ledger.label_counts(RUN) == LabelCounts(1, 1, 0)


def test_labelled_is_what_has_the_label_sent_or_not(ledger: Ledger) -> None:
    cars = [decision(f"{n}.jpg", picture=Picture(f'"{n}"', n), part=n % 3) for n in range(30)]
    others = [
        decision("n.jpg", None),
        decision("f.jpg", None, failure="x"),
    ]
    wait(ledger.decide([*cars, *others]))
    wait(ledger.sent(cars[:20]))
    assert sorted(ledger.labelled(RUN), key=str) == sorted(cars, key=str)
    assert list(ledger.labelled("another")) == []


def test_near_is_what_has_the_label_but_not_surely_enough(open_again: Open) -> None:
    almost = Label("Car", 87.5, (Box(0.1, 0.2, 0.3, 0.4),))
    near = [
        decision(f"{n}.jpg", None, picture=Picture(f'"{n}"', n), near=almost) for n in range(1, 9)
    ]
    others = [
        decision("car.jpg"),
        decision("none.jpg", None),
        decision("gone.jpg", None, failure="gone"),
    ]
    near.append(decision("part.jpg", None, part=2, near=almost, known=True))
    wait(open_again().decide([*reversed(near), *others]))
    ledger = open_again()
    assert list(ledger.near(RUN)) == near
    assert list(ledger.near("another")) == []
    assert [d.index for d in ledger.labelled(RUN)] == ["car.jpg"]
    assert [d.index for d in ledger.unsent(RUN, all_of(1))] == ["car.jpg"]


def test_unsent_is_what_is_decided_and_not_sent(ledger: Ledger) -> None:
    decisions = [decision(f"{number}.jpg") for number in range(30)]
    wait(ledger.decide(decisions))
    wait(ledger.decide([decision("none.jpg", None)]), ledger.decide([decision("p.jpg", part=2)]))
    wait(ledger.sent(decisions[:10]), ledger.sent(decisions[10:20]), ledger.sent(decisions[5:15]))
    assert sorted(d.index for d in ledger.unsent(RUN, all_of(1))) == sorted(
        d.index for d in decisions[20:]
    )
    assert [d.index for d in ledger.unsent(RUN, all_of(2))] == ["p.jpg"]
    asked = [*(d.index for d in decisions[15:25]), "none.jpg", "p.jpg", "undecided.jpg"]
    found = list(ledger.unsent(RUN, all_of(1), asked))
    # a file may give more
    assert {*decisions[20:25]} <= {*found} <= {*decisions[20:]}
    wait(ledger.sent(decisions))
    assert list(ledger.unsent(RUN, all_of(1))) == []


def test_a_decision_made_and_sent_in_one_breath_is_sent(open_again: Open) -> None:
    ledger = open_again()
    decisions = [decision(f"{number}.jpg") for number in range(50)]
    futures = [f for d in decisions for f in (ledger.decide([d]), ledger.sent([d]))]
    wait(*futures)
    assert list(open_again().unsent(RUN, all_of(1))) == []
    assert open_again().label_counts(RUN) == LabelCounts(50, 50, 0)


def test_a_future_that_is_done_covers_all_writes_before_it(open_again: Open) -> None:
    ledger = open_again()
    decisions = [decision(f"{number}.jpg") for number in range(200)]
    for one in decisions:
        ledger.decide([one])
        ledger.sent([one])
    wait(ledger.sent([]))
    after = open_again()
    assert after.undecided(RUN, [one.index for one in decisions]) == set()
    assert list(after.unsent(RUN, all_of(1))) == []


def test_failures_come_in_the_order_of_their_names(ledger: Ledger) -> None:
    wait(*(ledger.decide([decision(i, None, failure="no")]) for i in ("b", "a", "c")))
    assert [d.index for d in ledger.failures(RUN)] == ["a", "b", "c"]


def test_parts_share_all_but_what_is_unsent(ledger: Ledger) -> None:
    labelled = [decision(f"car-{part}", part=part) for part in range(3)]
    failed = [decision(f"gone-{part}", None, failure="gone", part=part) for part in range(3)]
    wait(ledger.decide(labelled + failed))
    assert [list(ledger.unsent(RUN, all_of(part))) for part in range(3)] == [
        [one] for one in labelled
    ]
    assert [d.index for d in ledger.failures(RUN)] == [d.index for d in failed]
    assert ledger.label_counts(RUN) == LabelCounts(6, 3, 3)


def test_the_runs_end_is_kept(open_again: Open) -> None:
    end = RunEnd(RUN, 7)
    wait(open_again().end_run(end))
    ledger = open_again()
    assert ledger.run_end(RUN) == end
    assert ledger.run_end("tuesday") is None
    # that it is sent does not say that it has come
    assert expected(ledger.progress(RUN)) is None


def test_the_last_end_stays(ledger: Ledger) -> None:
    for end in (RunEnd(RUN, 1), RunEnd(RUN, 2)):
        wait(ledger.end_run(end), ledger.record_end(end))
    assert ledger.run_end(RUN) == end
    assert ledger.progress(RUN).expected == 2


def test_what_is_decided_twice_gives_what_is_kept(ledger: Ledger) -> None:
    twice = decision("1.jpg", picture=Picture('"e"', 7), part=3)
    new = decision("2.jpg", None)
    assert ledger.decide([twice]).result(30) == [twice]
    # one after the other, and within one moment
    assert ledger.decide([twice, new]).result(30) == [twice, new]
    again = [ledger.decide([one]) for one in (new, decision("3.jpg"), decision("3.jpg"))]
    assert [future.result(30) for future in again] == [
        [new],
        [decision("3.jpg")],
        [decision("3.jpg")],
    ]
    assert ledger.label_counts(RUN) == LabelCounts(3, 2, 0)


# --- the listing, part by part -------------------------------------------------------------------


PARTS = [
    Part(1, "", "b/2.jpg", 1000),
    Part(2, "b/2.jpg", "\u00fc \U0001f697/10", 7),
    Part(3, "\u00fc \U0001f697/10", "z" * 1024, 1),
]


def test_what_is_listed_is_still_there_after_a_kill(open_again: Open) -> None:
    lister = open_again()
    listed = list_parts(lister, *PARTS, of=1234)
    assert (listed.parts, listed.images, listed.reached) == (3, 1008, "z" * 1024)
    after = open_again()
    assert after.listed(RUN) == listed
    assert list(after.open_parts(RUN)) == PARTS
    assert after.listed("tuesday") == Listed()
    assert list(after.open_parts("tuesday")) == []


def test_a_listing_goes_on_and_is_whole_in_the_end(open_again: Open) -> None:
    ledger = open_again()
    first = list_parts(ledger, PARTS[0])
    assert (first.whole, first.of) == (False, None)
    further = replace(first.behind(*PARTS[1:]), whole=True)
    wait(ledger.list_parts(RUN, PARTS[1:], further))
    # nothing more need be there to know that it is all
    wait(ledger.list_parts(RUN, [], further))
    assert open_again().listed(RUN) == further
    assert list(open_again().open_parts(RUN)) == PARTS


def test_a_part_is_listed_again_as_it_was(open_again: Open) -> None:
    """Somebody who was killed in between lists it once more."""
    ledger = open_again()
    listed = list_parts(ledger, *PARTS)
    wait(ledger.list_parts(RUN, PARTS[1:], listed))
    assert list(open_again().open_parts(RUN)) == PARTS
    assert ledger.label_counts(RUN).parts == 0


def test_parts_come_in_the_order_of_their_numbers(ledger: Ledger) -> None:
    parts = [Part(number, str(number - 1), str(number), 1) for number in range(1, 121)]
    list_parts(ledger, *parts[:60])
    list_parts(ledger, *parts[60:])
    assert list(ledger.open_parts(RUN)) == parts


def test_a_part_that_is_done_is_open_no_more_and_counts_once(open_again: Open) -> None:
    ledger = open_again()
    listed = list_parts(ledger, *PARTS)
    wait(ledger.end_part(RUN, 2))
    assert list(open_again().open_parts(RUN)) == [PARTS[0], PARTS[2]]
    # again, by another, and twice within one moment
    wait(ledger.end_part(RUN, 2), open_again().end_part(RUN, 2))
    wait(ledger.end_part(RUN, 3), ledger.end_part(RUN, 3), ledger.end_part(RUN, 3))
    for each in (ledger, open_again()):
        assert each.label_counts(RUN) == LabelCounts(0, 0, 0, 0, 2)
        assert list(each.open_parts(RUN)) == PARTS[:1]
    assert ledger.listed(RUN) == listed


def test_a_part_that_nobody_has_listed_is_none_that_is_done(ledger: Ledger) -> None:
    wait(ledger.end_part(RUN, 1))
    assert ledger.label_counts(RUN).parts == 0
    list_parts(ledger, PARTS[0])
    wait(ledger.end_part("tuesday", 1))
    assert list(ledger.open_parts(RUN)) == PARTS[:1]
    assert ledger.label_counts(RUN).parts == ledger.label_counts("tuesday").parts == 0


def test_each_run_has_its_own_parts(ledger: Ledger) -> None:
    """Those of the one are those of the other, but for their run."""
    for run in (RUN, "tuesday"):
        wait(ledger.decide([decision(f"{run}.jpg", run=run)]))
    mine = list_parts(ledger, *PARTS)
    theirs = list_parts(ledger, *PARTS[:2], run="tuesday", of=9)
    wait(ledger.end_part("tuesday", 1))
    assert (ledger.listed(RUN), ledger.listed("tuesday")) == (mine, theirs)
    assert list(ledger.open_parts(RUN)) == PARTS
    assert list(ledger.open_parts("tuesday")) == PARTS[1:2]
    assert [ledger.label_counts(run).parts for run in (RUN, "tuesday")] == [0, 1]


def test_a_part_that_is_done_has_all_that_was_decided_before(open_again: Open) -> None:
    ledger = open_again()
    list_parts(ledger, PARTS[0])
    decisions = [decision(f"{number}.jpg") for number in range(150)]
    for one in decisions:
        ledger.decide([one])
        ledger.sent([one])
    wait(ledger.end_part(RUN, 1))
    after = open_again()
    assert after.label_counts(RUN, recount=True) == LabelCounts(150, 150, 0, 0, 1)
    assert list(after.open_parts(RUN)) == []


# --- the text worker's side ----------------------------------------------------------------------


def test_a_result_is_still_there_after_a_kill(open_again: Open) -> None:
    kept = [
        result("1.jpg", LINES, time="2026-01-01T00:00:00.000+00:00"),
        result("2.jpg"),
        result("3.jpg", failure="gone: no more", labels=()),
    ]
    before = open_again()
    wait(before.complete(kept), before.sent([]))
    after = open_again()
    assert list(after.results(RUN)) == list(map(result_row, kept))
    assert after.not_done(RUN, ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]) == {"4.jpg"}
    progress = after.progress(RUN)
    assert (progress.done, progress.with_text, progress.failed) == (3, 1, 1)


def test_a_text_that_has_no_utf8_is_kept_as_its_escape(ledger: Ledger) -> None:
    odd = result("1.jpg", (TextLine("half a pair \ud83d", 90.0),))
    wait(ledger.complete([odd]))
    assert list(ledger.results(RUN)) == [result_row(odd)]
    ((row, _),) = ledger.results(RUN)
    assert json.loads(row)["lines"][0]["text"] == "half a pair \ud83d"


def test_the_first_result_stays_and_counts_once(ledger: Ledger) -> None:
    wait(ledger.complete([result("1.jpg", LINES)]))
    wait(ledger.complete([result("1.jpg", failure="gone")]), ledger.complete([result("1.jpg")]))
    assert list(ledger.results(RUN)) == [result_row(result("1.jpg", LINES))]
    progress = ledger.progress(RUN)
    assert (progress.done, progress.with_text, progress.failed) == (1, 1, 0)


def test_the_first_one_stays_also_within_one_moment(ledger: Ledger) -> None:
    wait(*[ledger.complete([result("1.jpg", LINES)]) for _ in range(20)])
    wait(*[ledger.complete([result(f"{n % 7}.png")]) for n in range(50)])
    assert ledger.progress(RUN).done == 8
    assert len(list(ledger.results(RUN))) == 8


def test_results_come_in_natural_order(ledger: Ledger) -> None:
    expected = [
        "001.jpg",
        "01.jpg",
        "1.jpg",
        "2.jpg",
        "9.jpg",
        "10.jpg",
        "10a.jpg",
        "100.jpg",
        "a2",
        "a10",
        "b1",
    ]
    wait(*(ledger.complete([result(index)]) for index in reversed(expected)))
    assert indexes_in(ledger, RUN) == expected


def test_runs_do_not_mix(ledger: Ledger) -> None:
    wait(ledger.complete([result("1.jpg", LINES)]), ledger.decide([decision("1.jpg")]))
    wait(ledger.record_end(RunEnd(RUN, 1)), ledger.record_foreign_end(RUN))
    other = "monday-2"
    assert ledger.not_done(other, ["1.jpg"]) == ledger.undecided(other, ["1.jpg"]) == {"1.jpg"}
    assert ledger.progress(other) == RunProgress(0, 0, 0)
    assert list(ledger.results(other)) == []
    assert ledger.label_counts(other).decided == 0


def test_two_runs_over_the_same_images_each_keep_their_own(ledger: Ledger) -> None:
    runs = (RUN, "monday-2")
    ends = [RunEnd(run, number) for number, run in enumerate(runs)]
    for run, end in zip(runs, ends, strict=True):
        wait(
            ledger.settle(run, {"label": f"Car {end.expected}"}),
            ledger.decide([decision("1.jpg", run=run)]),
            ledger.decide([decision("2.jpg", None, failure=run, run=run)]),
            ledger.complete([result("1.jpg", failure=run, run=run)]),
            ledger.end_run(end),
            ledger.record_end(end),
        )
    wait(ledger.sent([decision("1.jpg", run=runs[1])]))
    assert [[d.index for d in ledger.unsent(run, all_of(1))] for run in runs] == [["1.jpg"], []]
    for run, end in zip(runs, ends, strict=True):
        assert ledger.settled(run) == {"label": f"Car {end.expected}"}
        assert [d.failure for d in ledger.failures(run)] == [run]
        assert ledger.label_counts(run) == LabelCounts(2, 1, 1)
        assert list(ledger.results(run)) == [result_row(result("1.jpg", failure=run, run=run))]
        assert ledger.run_end(run) == end
        assert ledger.progress(run) == RunProgress(1, 0, 1, end.expected)


def test_what_is_asked_for_by_hand_counts_for_no_end(ledger: Ledger) -> None:
    by_hand = [result(index, LINES, by_hand=True) for index in ("10.jpg", "9.jpg")]
    wait(ledger.record_end(RunEnd(RUN, 1)), ledger.complete(by_hand))
    assert ledger.progress(RUN) == RunProgress(2, 2, 0, 1, by_hand=2)
    assert ledger.not_done(RUN, ["9.jpg", by_hand[1].filed]) == {"9.jpg"}
    assert indexes_in(ledger, RUN) == ["9.jpg", "10.jpg"]
    counted = result("9.jpg")
    wait(ledger.complete([counted]))
    assert ledger.progress(RUN) == RunProgress(3, 2, 0, 1, by_hand=2)
    assert list(ledger.results(RUN)) == [result_row(counted), result_row(by_hand[0])]


def test_a_thousand_keys_are_looked_up_at_once(ledger: Ledger) -> None:
    keys = [f"folder/{number}.jpg" for number in range(1000)]
    wait(*(ledger.complete([result(key)]) for key in keys[::2]))
    wait(*(ledger.decide([decision(key, None)]) for key in keys[::2]))
    assert ledger.not_done(RUN, keys) == set(keys[1::2])
    assert ledger.undecided(RUN, keys) == set(keys[1::2])


@pytest.mark.parametrize("index", ODD)
def test_any_key_is_found_again(ledger: Ledger, index: str) -> None:
    wait(ledger.decide([decision(index)]), ledger.complete([result(index, LINES)]))
    others = [index + " ", index.upper() + "!", "other"]
    assert ledger.undecided(RUN, [index, *others]) == set(others)
    assert ledger.not_done(RUN, [index, *others]) == set(others)
    assert [d.index for d in ledger.unsent(RUN, all_of(1))] == [index]
    wait(ledger.sent([decision(index)]))
    assert list(ledger.unsent(RUN, all_of(1))) == []
    assert indexes_in(ledger, RUN) == [index]


# --- ends ----------------------------------------------------------------------------------------


def test_an_end_says_how_many_there_are(open_again: Open) -> None:
    ledger = open_again()
    assert expected(ledger.progress(RUN)) is None
    # a duplicate is the same end
    wait(ledger.record_end(RunEnd(RUN, 9)), ledger.record_end(RunEnd(RUN, 9)))
    for each in (ledger, open_again()):
        progress = each.progress(RUN)
        assert (expected(progress), finished(progress)) == (9, False)


def test_an_end_of_nothing_is_counted_out(ledger: Ledger) -> None:
    wait(ledger.record_end(RunEnd(RUN, 0)))
    assert finished(ledger.progress(RUN))


def test_counted_out_at_the_last_result(ledger: Ledger) -> None:
    wait(ledger.record_end(RunEnd(RUN, 2)), ledger.complete([result("1.jpg")]))
    assert not finished(ledger.progress(RUN))
    wait(ledger.complete([result("1.jpg")]))
    assert not finished(ledger.progress(RUN))
    wait(ledger.complete([result("2.jpg", failure="gone")]))
    assert finished(ledger.progress(RUN))


def test_a_foreign_end_is_kept_and_ends_nothing_by_itself(open_again: Open) -> None:
    wait(open_again().record_foreign_end(RUN), open_again().record_foreign_end(RUN))
    progress = open_again().progress(RUN)
    assert (progress.foreign_end, ending(progress)) == (True, Ending.UNCOUNTED)


# --- many at once --------------------------------------------------------------------------------


def test_32_threads_write_at_once(ledger: Ledger) -> None:
    def write(thread: int) -> None:
        for number in range(5):
            # every index is written by two threads
            index = f"{thread // 2}-{number}.jpg"
            ledger.complete([result(index, LINES)]).result(60)
            ledger.decide([decision(index)]).result(60)
            assert ledger.not_done(RUN, [index]) == set()

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write, range(32)))
    progress = ledger.progress(RUN)
    assert (progress.done, progress.with_text) == (80, 80)
    assert len(list(ledger.results(RUN))) == 80
    assert ledger.label_counts(RUN) == LabelCounts(80, 80, 0)


def test_results_can_be_read_while_others_are_written(open_again: Open) -> None:
    ledger, stop = open_again(), threading.Event()
    wait(*(ledger.complete([result(f"{number}.jpg")]) for number in range(100)))

    def write() -> None:
        for number in range(100, 1000):
            if stop.is_set():
                return
            ledger.complete([result(f"{number}.jpg")]).result(30)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            indexes = indexes_in(ledger, RUN)
            assert len(set(indexes)) == len(indexes) >= 100
    finally:
        stop.set()
        writer.join()


def test_a_long_read_keeps_nobody_waiting(ledger: Ledger) -> None:
    wait(*(ledger.complete([result(f"{number}.jpg")]) for number in range(10)))
    reading = ledger.results(RUN)
    next(reading)
    wait(ledger.complete([result("10.jpg")]))
    assert ledger.progress(RUN).done == 11
    assert len(list(reading)) >= 9


def test_close_writes_what_was_asked_for(open_again: Open) -> None:
    ledger = open_again()
    futures = [ledger.complete([result(f"{number}.jpg")]) for number in range(100)]
    ledger.close()
    assert all(future.done() for future in futures)
    assert open_again().progress(RUN).done == 100
    # the fixture closes it once more
    assert ledger.close() is None


def test_what_is_asked_for_by_hand_is_filed_beside_what_is_counted(ledger: Ledger) -> None:
    by_hand = result("2.jpg", by_hand=True)
    wait(
        ledger.complete([by_hand]), ledger.complete([by_hand]), ledger.complete([result("10.jpg")])
    )
    wait(ledger.record_end(RunEnd(RUN, 2)))
    progress = ledger.progress(RUN)
    assert (progress.done, progress.by_hand, finished(progress)) == (2, 1, False)
    assert ledger.not_done(RUN, ["2.jpg", by_hand.filed]) == {"2.jpg"}
    assert indexes_in(ledger, RUN) == ["2.jpg", "10.jpg"]
    wait(ledger.complete([result("2.jpg", LINES)]))
    assert finished(ledger.progress(RUN))
    assert indexes_in(ledger, RUN) == ["2.jpg", "10.jpg"]
    assert next(ledger.results(RUN)).line is not None
