"""What a run would take, and the budget."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from console.plan.command import PlanSettings, show
from console.plan.model import Plan, full_rate, make_plan, text_traffic
from console.plan.render import as_text
from console.services import ledger_if_any
from tests.unit.fakes import FakeS3, Scripted, etag
from tests.unit.schemas import read_json
from workers.answer import Answer, LabelAnswer
from workers.aws.calls import Calls
from workers.errors import RunError
from workers.estimate import Estimate
from workers.images.bucket import HEAD_BYTES, Bucket
from workers.label_worker import LabelWorker
from workers.ledger import open_ledger
from workers.model import Image, Picture
from workers.services import Services
from workers.settings import Settings
from workers.threads.stop import Stop

MakeSettings = Callable[..., Settings]
TOO_LARGE = bytes(15 * 1024 * 1024 + 1)
OBJECTS = {
    "-1": b"123",
    "a.jpg": b"12",
    "album/": b"",
    "album/b.PNG": b"123",
    "bell\x07.jpg": b"1",
    "empty.jpg": b"",
    "huge.jpg": TOO_LARGE,
    "notes.txt": b"1",
    "zero.jpg": b"",
}


def bucket_of(s3: FakeS3, settings: Settings) -> Bucket:
    return Bucket(cast(Any, s3), Calls(settings, Stop()), settings)


def plan(*flags: str) -> None:
    settings = PlanSettings(_cli_parse_args=["--bucket", "photos", *flags])
    with ledger_if_any(settings) as ledger:
        show(settings, bucket_of(FakeS3(OBJECTS, page_size=2), settings), ledger)


def know(settings: Settings, answer: Answer, *contents: bytes) -> None:
    """An earlier run has had this answer about each of them."""
    with closing(open_ledger(settings)) as ledger:
        for data in contents:
            ledger.keep(Picture(etag(data), len(data)), answer).result()


def all_new(settings: Settings, images: int, **counts: Any) -> Plan:
    """A plan for so many images that nobody knows."""
    return Plan(Estimate(settings, None, images=images, text_calls=images), listed=images, **counts)


NO_CAR = LabelAnswer(55.0, "3.0", ())
SURE_ONLY = LabelAnswer(95.0, "3.0", ())


def test_it_counts_what_the_listing_tells(capsys: pytest.CaptureFixture[str]) -> None:
    plan("--json")
    told = read_json("plan", capsys.readouterr().out)
    assert told["listed"] == 8, "a folder marker is not an image"
    assert told["images"] == told["new"] == 3
    assert (told["answered"], told["ledger"]) == (0, None)
    assert told["size"] == 6
    assert told["oddly_named"] == 1
    assert told["broken"] == {"empty": 2, "too large": 1, "not sendable": 2}
    assert told["examples"]["empty"] == ["empty.jpg", "zero.jpg"]
    assert told["dollars_at_least"] == pytest.approx(0.003)
    assert told["dollars_at_most"] == pytest.approx(0.006)
    assert told["budget_dollars"] is None
    assert told["within_budget"] is True


def test_a_person_reads_it_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    plan("--prefix", "", "--budget-dollars", "1")
    out = capsys.readouterr().out
    assert "s3://photos/ in us-east-1, run default" in out
    assert "-1, bell\\x07.jpg" in out, "a key cannot write to the terminal"
    assert "$0.0060" in out
    assert "enough" in out


def test_over_the_budget_it_says_the_cost_the_budget_and_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RunError) as refused:
        plan("--budget-dollars", "0.001")
    assert "over it" in capsys.readouterr().out
    told = str(refused.value)
    for part in ("$0.0060", "3 images to look at, 3 to read", "$0.0010"):
        assert part in told
    assert "CARTEXT_BUDGET_DOLLARS" in told
    assert "--over-budget" in told
    assert "\n" not in told
    plan("--budget-dollars", "0.001", "--over-budget")


def test_the_time_follows_the_quota_or_the_threads(make_settings: MakeSettings) -> None:
    quota = full_rate(make_settings(quota=50, in_flight=32))
    assert 45 < quota <= 50
    # ten threads that wait half a second for each answer
    assert full_rate(make_settings(quota=50, in_flight=10)) == pytest.approx(20)


def test_a_time_that_rounds_to_nothing_is_under_a_second(make_settings: MakeSettings) -> None:
    settings = make_settings(quota=50)
    assert "under 1 s " in as_text(all_new(settings, 10), "eu-west-1")
    assert "10 s " in as_text(all_new(settings, 490), "eu-west-1")


def test_a_million_images_cost_what_the_tiers_say(make_settings: MakeSettings) -> None:
    whole = all_new(make_settings(quota=50), 1_000_000)
    assert whole.estimate.dollars_at_least == pytest.approx(1000)
    assert whole.estimate.dollars_at_most == pytest.approx(1800)
    assert "$1,800.00" in as_text(whole, "eu-west-1")
    assert "5 h" in as_text(whole, "eu-west-1")


def test_the_memory_does_not_grow_with_the_bucket(make_settings: MakeSettings) -> None:
    class Endless:
        def identified(self, page: list[Image]) -> list[Image]:
            return page

        def pages(self) -> Iterator[list[Image]]:
            for page in range(60):
                yield [Image(f"album/{page}/{n}.jpg", n % 7, "etag") for n in range(1000)]

    bucket: Any = Endless()
    tracemalloc.start()
    try:
        made = make_plan(make_settings(), bucket, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.listed == 60_000
    assert peak < 2_000_000


MB = 1_000_000


@pytest.mark.parametrize(
    ("source", "size", "traffic"),
    [
        ("auto", 300_000, 400_000),
        ("auto", MB, 4 * MB / 3),
        ("auto", 4 * MB, HEAD_BYTES),
        ("bytes", 3 * MB, 4 * MB),
        ("bytes", 6 * MB, HEAD_BYTES),
        ("s3", 300_000, 0),
    ],
)
def test_what_an_image_costs_the_text_workers_network(
    source: Any, size: int, traffic: float
) -> None:
    assert text_traffic(size, source) == pytest.approx(traffic)


@pytest.mark.parametrize(
    ("source", "size", "machine"),
    [
        ("auto", 4 * MB, "t3.small moves 16.0 MB/s"),
        ("bytes", 240_000, "t3.small moves 16.0 MB/s"),
        ("bytes", 4 * MB, "c7gn.medium moves 390.6 MB/s"),
    ],
)
def test_the_plan_names_the_machine_of_a_text_worker(
    source: Any, size: int, machine: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(quota=50, text_source=source)
    whole = Plan(Estimate(settings, None))
    whole.add([Image(f"{number}.jpg", size, f'"{number}"') for number in range(9)])
    (row,) = [row for row in as_text(whole, "r").splitlines() if "network" in row]
    assert machine in row


def test_more_than_any_machine_moves_is_said_with_the_remedy(make_settings: MakeSettings) -> None:
    whole = Plan(Estimate(make_settings(quota=100, text_source="bytes"), None))
    whole.add([Image("1.jpg", 5 * MB, '"1"')])
    told = as_text(whole, "r")
    assert "more than c7gn.medium moves for long; take more text workers" in told


# --- what is known already ------------------------------------------------------------------------


def told_of(capsys: pytest.CaptureFixture[str], row: str) -> str:
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(row)]
    return " ".join(line.removeprefix(row).split())


def test_without_a_ledger_it_says_that_it_knows_no_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan()
    assert told_of(capsys, "answered") == (
        "0 no answers are known: no sqlite:///state/ledger.sqlite3"
    )
    assert not Path("state").exists(), "it makes nothing"


def test_what_an_earlier_run_was_told_costs_nothing_again(
    make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    know(make_settings(), NO_CAR, b"12", b"1")
    plan("--json")
    told = read_json("plan", capsys.readouterr().out)
    assert (told["images"], told["answered"], told["new"], told["copies"]) == (3, 2, 1, 0)
    assert (told["label_calls_at_most"], told["text_calls_at_most"]) == (1, 1)
    assert told["dollars_at_most"] == pytest.approx(0.002)
    assert told["ledger"] == "sqlite:///state/ledger.sqlite3"
    plan("--budget-dollars", "0.002")
    out = capsys.readouterr().out
    assert "known from sqlite:///state/ledger.sqlite3" in out
    assert "1 to look at, 1 to read if every new one has a Car; $0.0010 if none has" in out


def test_an_answer_that_does_not_serve_is_said(
    make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    know(make_settings(), SURE_ONLY, b"12")
    plan()
    assert told_of(capsys, "new or replaced") == (
        "3 1 of them were asked only for labels surer than 90 %"
    )


def test_copies_are_said_and_when_there_may_be_more(make_settings: MakeSettings) -> None:
    whole = Plan(Estimate(make_settings(), None))
    whole.add([Image(f"{n}.jpg", 9, '"same"') for n in range(21)])
    assert re.search(r"^copies +20  of these", as_text(whole, "r"), re.MULTILINE)
    whole.estimate.all_copies = False
    assert re.search(r"^copies +at least 20  of these", as_text(whole, "r"), re.MULTILINE)


def test_a_list_of_keys_is_planned_like_a_listing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.txt").write_text("a.jpg\nno.jpg\nempty.jpg\n")
    plan("--keys", "keys.txt", "--json")
    told = read_json("plan", capsys.readouterr().out)
    assert told["images"] == 1
    assert told["broken"] == {"gone": 1, "empty": 1}
    plan("--keys", "keys.txt")
    assert "the keys of keys.txt in s3://photos/" in capsys.readouterr().out


# --- the label worker's budget --------------------------------------------------------------------


class BeyondTheBudgetError(Exception):
    """The label worker goes on to the queue."""


def start(settings: Settings, s3: FakeS3) -> None:
    """Starts a label worker, whose queue and recogniser cannot be asked."""
    queue = SimpleNamespace(max_receives=Scripted(BeyondTheBudgetError()))
    services: Any = Services(open_ledger(settings), bucket_of(s3, settings), None, queue)
    LabelWorker(settings, services, Stop()).run()


def test_the_label_worker_does_not_start_a_run_over_the_budget(
    make_settings: MakeSettings,
) -> None:
    with pytest.raises(RunError, match=r"may cost \$0.0060 .* budget of \$0.0050; .*--over-budget"):
        start(make_settings(budget_dollars=0.005), FakeS3(OBJECTS))


@pytest.mark.parametrize("fields", [{}, {"budget_dollars": 0.001, "over_budget": True}])
def test_nothing_is_listed_for_a_budget_that_does_not_hold(
    fields: dict[str, Any], make_settings: MakeSettings
) -> None:
    s3 = FakeS3(OBJECTS)
    with pytest.raises(BeyondTheBudgetError):
        start(make_settings(**fields), s3)
    assert [request.get("MaxKeys") for request in s3.listings] == [1]


def test_a_budget_that_is_enough_lets_the_run_start(make_settings: MakeSettings) -> None:
    s3 = FakeS3(OBJECTS)
    with pytest.raises(BeyondTheBudgetError):
        start(make_settings(budget_dollars=0.006), s3)
    assert len(s3.listings) > 1


def test_a_budget_is_for_what_is_still_to_be_paid(make_settings: MakeSettings) -> None:
    """A nightly run over very many known images and a few new ones starts."""
    settings = make_settings(budget_dollars=0.002)
    know(settings, NO_CAR, b"12")
    with pytest.raises(RunError, match=r"may cost \$0.0040 \(2 images to look at, 2 to read\)"):
        start(settings, FakeS3(OBJECTS))
    know(settings, NO_CAR, b"1")
    with pytest.raises(BeyondTheBudgetError):
        start(settings, FakeS3(OBJECTS))
