"""Both workers, one situation at a time, on small stand-ins for AWS."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.fakes import Scripted, client_error
from tests.unit.scene import CAR, Scene, about_images, alongside, at_last, soon
from tests.unit.unruly_queue import LABEL_WORKER, SOMEBODY_ELSE, written_by_hand
from workers import decider, label_worker, reader, text_worker
from workers.answer import Handed
from workers.ending import Ending, finished
from workers.errors import OutageError, RunError, StoppedError
from workers.events import AGAIN
from workers.index_queue.messages import end_entry, image_entry
from workers.label_worker import LabelWorker
from workers.model import NO_PICTURE, Decision, Listed, Part, Picture, Result, RunEnd
from workers.output.files import Output
from workers.pace import Pace
from workers.parts.in_hand import InHand
from workers.suspicion import MOST
from workers.text_worker import TextWorker
from workers.threads.pool import BoundedPool

EMPTY = "empty: the object has no bytes"


# --- the label worker ----------------------------------------------------------------------------


def test_a_sends_what_has_the_label_and_says_how_many(scene: Scene) -> None:
    scene.images("1.jpg", "2.jpg", "3.jpg").label = {"1.jpg": 95.0, "2.jpg": None, "3.jpg": 91}.get
    scene.start(LabelWorker)
    assert sorted(scene.left) == ["-1", "1.jpg", "3.jpg"]
    assert scene.left[-1] == "-1"
    (end,) = scene.sent("-1")
    assert end == {"run": "default", "expected": "2"}
    (image,) = scene.sent("1.jpg")
    assert image.keys() == {"run", "found"}


def test_a_finished_run_stays_finished(scene: Scene, said: list[dict[str, Any]]) -> None:
    scene.images("1.jpg").start(LabelWorker)
    asked, left = list(scene.asked), list(scene.left)
    said.clear()
    scene.images("2.jpg").start(LabelWorker)
    assert (scene.asked, scene.left) == (asked, left)
    finished = {"event": "already finished", "log_level": "info", "sent": 1}
    assert said == [{**finished, "note": AGAIN}]


def test_what_is_not_sure_enough_is_said_and_written(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    scene.images("1.jpg", "2.jpg", "3.jpg").label = {"1.jpg": 95.0, "2.jpg": None, "3.jpg": 87}.get
    scene.start(LabelWorker)
    (near,) = (line for line in said if line.get("near"))
    assert (near["index"], near["near"]) == ("3.jpg", "Car 87 %, below 90")
    scene.start(LabelWorker, run="again")
    asked, known = (
        [json.loads(row) for row in (scene.settings.state_dir / run / "near.jsonl").open()]
        for run in ("default", "again")
    )
    assert [(row["index"], row["below"], row["known"]) for row in asked] == [("3.jpg", 90, False)]
    assert known == [{**asked[0], "run": "again", "known": True}]


@pytest.mark.parametrize("start", ["the first", "a later one"])
def test_a_run_in_which_everything_failed_is_no_success(scene: Scene, start: str) -> None:
    scene.s3.objects |= {"a.txt": b"", "b.txt": b"", "-1": b"x"}
    for _ in range(1 if start == "the first" else 2):
        with pytest.raises(RunError, match=r"every image failed, 2 of 3 .*: empty: .* CARTEXT_RUN"):
            scene.start(LabelWorker)
    assert scene.left == ["-1"], "its end is sent, and once"
    assert len((scene.settings.run_dir / "failed.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("kind", [LabelWorker, TextWorker])
def test_a_run_is_over_one_bucket(scene: Scene, kind: type[LabelWorker | TextWorker]) -> None:
    """The sandbox's first, and then a real one: its end would be taken for this one's."""
    scene.images("1.jpg").run("default")
    with pytest.raises(RunError, match="begun with CARTEXT_BUCKET=photos, not mine"):
        scene.start(kind, bucket="mine")


def test_an_empty_bucket_has_an_end_too(scene: Scene) -> None:
    scene.start(LabelWorker)
    assert [end["expected"] for end in scene.sent("-1")] == ["0"]


def test_a_failed_image_is_kept_with_its_reason_and_not_sent(scene: Scene) -> None:
    scene.images("1.jpg", "2.jpg").s3.objects |= {"empty.jpg": b"", "-1": b"x", "a\0b": b"x"}

    def refuse(key: str) -> float | None:
        if key == "2.jpg":
            return None
        raise client_error("InvalidImageFormatException", 400, f"no image: {key}")

    scene.label = refuse
    scene.start(LabelWorker)
    assert sorted(scene.asked) == ["1.jpg", "2.jpg"]
    assert [end["expected"] for end in scene.sent("-1")] == ["0"]
    rows = [json.loads(r) for r in (scene.settings.run_dir / "failed.jsonl").open()]
    assert {row["index"]: row["failure"].split(":")[0] for row in rows} == {
        "1.jpg": "InvalidImageFormatException",
        "empty.jpg": "empty",
        "-1": "not sendable",
        "a\0b": "not sendable",
    }


def test_an_image_on_which_the_service_fails_is_tried_again_after_the_others(scene: Scene) -> None:
    def fail_once(key: str) -> float:
        if key == "1.jpg" and "9.jpg" not in scene.asked:
            raise client_error("InternalServerError", 500)
        return 95.0

    scene.images(*(f"{n}.jpg" for n in range(1, 10))).label = fail_once
    scene.start(LabelWorker, in_flight=1, tries=2)
    assert scene.asked[-1] == "1.jpg"
    assert [end["expected"] for end in scene.sent("-1")] == ["9"]


def test_an_image_on_which_the_service_always_fails_fails_at_last(scene: Scene) -> None:
    def fail(key: str) -> float:
        if key == "1.jpg":
            raise client_error("InternalServerError", 500)
        return 95.0

    scene.images("1.jpg", "2.jpg").label = fail
    scene.start(LabelWorker, tries=2)
    (failed,) = scene.ledger.failures("default")
    assert (failed.index, failed.failure[:16]) == ("1.jpg", "failed 2 times: ")
    assert [end["expected"] for end in scene.sent("-1")] == ["1"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("AccessDeniedException"), RunError),
        (client_error("ExpiredTokenException"), RunError),
        (client_error("ThrottlingException"), OutageError),
    ],
)
def test_what_is_not_about_an_image_ends_a_without_an_end_mark(
    scene: Scene, error: Exception, kind: type[Exception]
) -> None:
    def fail(_: str) -> float:
        raise error

    scene.images("1.jpg", "2.jpg").label = fail
    with pytest.raises(kind):
        scene.start(LabelWorker)
    assert scene.left == []
    assert scene.ledger.label_counts("default").decided == 0


def test_a_stopped_a_keeps_what_was_in_flight_and_goes_on_from_there(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    keys = [f"{number}.jpg" for number in range(40)]

    def look(_: str) -> float:
        if len(scene.asked) == 10:
            scene.stop.ask()
        time.sleep(0.01)
        return 95.0

    scene.images(*keys).label = look
    with pytest.raises(StoppedError):
        scene.start(LabelWorker, in_flight=4)
    decided = scene.ledger.label_counts("default").decided
    assert len(scene.asked) == decided < 20
    assert len(scene.left) == decided
    scene.start(LabelWorker)
    assert sorted(scene.asked) == sorted(keys)
    assert [end["expected"] for end in scene.sent("-1")] == ["40"]
    photos = {"bucket": "photos"}
    assert [line for line in said if line["event"] == "start"] == [
        {"event": "start", "log_level": "info", **photos, "decided_before": before}
        for before in (0, decided)
    ]


def test_the_end_is_not_sent_before_every_index_is(scene: Scene) -> None:
    def refuse(**_: Any) -> Any:
        raise client_error("InternalError", 500)

    send = scene.queue.send_message_batch
    scene.images("1.jpg").queue.send_message_batch = refuse
    with pytest.raises(Exception, match="SQS SendMessageBatch failed"):
        scene.start(LabelWorker)
    assert scene.left == []
    scene.queue.send_message_batch = send
    scene.start(LabelWorker)
    assert scene.left == ["1.jpg", "-1"]
    assert scene.asked == ["1.jpg"]


def test_no_end_is_sent_while_it_is_not_known_that_all_was(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InHand, "sent", lambda *_: None)
    with pytest.raises(OutageError, match=r"^not every index could be sent"):
        scene.images("1.jpg").start(LabelWorker)
    assert scene.left == ["1.jpg"]


def test_a_restart_goes_on_behind_what_is_decided(scene: Scene) -> None:
    """What stands before the parts that are open is not even listed again."""
    scene.s3.page_size = 2
    scene.images(*(f"{number}.jpg" for number in range(1, 9)))

    def look(key: str) -> float:
        if key == "5.jpg":
            scene.stop.ask()
        return 95.0

    scene.label = look
    with pytest.raises(StoppedError):
        scene.start(LabelWorker, in_flight=1)
    decided = len(scene.asked)
    assert decided >= 5
    scene.s3.listings.clear()
    scene.start(LabelWorker)
    assert len(scene.asked) == 8
    places = [request["StartAfter"] for request in scene.s3.listings if "StartAfter" in request]
    assert min(places) >= "4.jpg"
    assert sorted(scene.left) == ["-1", *(f"{number}.jpg" for number in range(1, 9))]
    assert scene.sent("-1")[0]["expected"] == "8"


def test_a_part_is_done_when_its_indexes_are_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the decision and its message: the next start sends it, and pays for none."""

    def dies(_: Any) -> None:
        raise OutageError("killed")

    with monkeypatch.context() as killed:
        killed.setattr(scene.queue, "send_message_batch", lambda **_: dies(None))
        with pytest.raises(OutageError):
            scene.images("1.jpg").start(LabelWorker)
    assert [part.number for part in scene.ledger.open_parts("default")] == [1]
    scene.start(LabelWorker)
    assert (scene.asked, scene.left) == (["1.jpg"], ["1.jpg", "-1"])
    assert list(scene.ledger.open_parts("default")) == []


def test_a_part_of_which_some_were_not_sent_is_open_until_the_others_are_decided(
    scene: Scene,
) -> None:
    keys = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    part = Part(1, "", keys[-1], len(keys))
    scene.images(*keys).ledger.list_parts("default", [part], Listed(whole=True).behind(part))
    scene.ledger.decide(
        [Decision("default", 1, key, scene.picture(key), CAR) for key in keys[:2]]
    ).result()

    def look(_: str) -> float:
        scene.stop.ask()
        return 95.0

    scene.label = look
    with pytest.raises(StoppedError):
        scene.start(LabelWorker, in_flight=1)
    assert list(scene.ledger.open_parts("default")) == [part]
    scene.label = lambda _: 95.0
    scene.start(LabelWorker)
    assert sorted(scene.asked) == keys[2:]
    assert sorted(scene.left) == ["-1", *keys]
    assert list(scene.ledger.open_parts("default")) == []


def test_what_is_deleted_before_its_index_is_sent_is_sent_all_the_same(scene: Scene) -> None:
    """It is labelled: the end counts it, and B would wait for it for ever."""
    part = Part(1, "", "2.jpg", 2)
    scene.images("1.jpg", "2.jpg").ledger.list_parts(
        "default", [part], Listed(whole=True).behind(part)
    )
    scene.ledger.decide([Decision("default", 1, "1.jpg", scene.picture("1.jpg"), CAR)]).result()
    del scene.s3.objects["1.jpg"]
    scene.start(LabelWorker)
    assert sorted(scene.left) == ["-1", "1.jpg", "2.jpg"]
    scene.start(TextWorker)
    assert scene.results()["1.jpg"]["failure"].startswith("gone")


def test_a_crash_before_the_end_mark_is_on_the_queue_does_not_lose_it(scene: Scene) -> None:
    """The end is on the queue before the ledger has it, else a restart takes it for sent."""
    send = scene.queue.send_message_batch

    def refuse_the_end(**request: Any) -> Any:
        if request["Entries"][0]["MessageBody"] == "-1":
            raise client_error("AccessDenied", 403)
        return send(**request)

    scene.images("1.jpg").queue.send_message_batch = refuse_the_end
    with pytest.raises(RunError):
        scene.start(LabelWorker)
    scene.queue.send_message_batch = send
    scene.start(LabelWorker)
    assert scene.left == ["1.jpg", "-1"]


def test_a_asks_for_the_bucket_before_anything_is_paid_for(scene: Scene) -> None:
    there = {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}
    listing = scene.s3.list_objects_v2
    scene.s3.list_objects_v2 = lambda **_: {**listing(**_), "ResponseMetadata": there}
    with pytest.raises(RunError, match="set AWS_REGION=eu-west-1"):
        scene.images("1.jpg").start(LabelWorker)
    assert (scene.asked, scene.left) == ([], [])


@pytest.mark.parametrize(
    ("kind", "service", "operation"),
    [
        (LabelWorker, "s3", "list_objects_v2"),
        (LabelWorker, "queue", "get_queue_attributes"),
        (LabelWorker, "queue", "send_message_batch"),
        (TextWorker, "queue", "get_queue_attributes"),
        (TextWorker, "queue", "receive_message"),
        (TextWorker, "queue", "delete_message_batch"),
    ],
)
def test_a_call_that_is_not_permitted_ends_the_worker(
    scene: Scene, kind: type[LabelWorker | TextWorker], service: str, operation: str
) -> None:
    scene.found("1.jpg").end(1)
    setattr(getattr(scene, service), operation, Scripted(client_error("AccessDenied", 403)))
    with pytest.raises(RunError, match="permission denied"):
        scene.start(kind)


def test_when_very_many_images_fail_it_is_not_the_images(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> float:
        raise client_error("InternalServerError", 500)

    monkeypatch.setattr(decider, "MOST_SET_ASIDE", 5)
    scene.images(*(f"{number}.jpg" for number in range(5))).label = fail
    with pytest.raises(OutageError, match="5 images failed; the last one: Rekognition"):
        scene.start(LabelWorker, retry_seconds=0.02)
    assert scene.ledger.label_counts("default").decided == 0


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDenied", RunError), ("KMS.DisabledException", RunError), ("Strange", OutageError)],
)
def test_what_every_image_fails_for_is_not_about_the_images(
    scene: Scene, code: str, kind: type[Exception]
) -> None:
    """An encrypted bucket whose key may not be used, a new error: no image is lost by it."""

    def refuse(_: str) -> float:
        raise client_error(code, 403)

    scene.images("1.jpg", "2.jpg", "3.jpg").label = refuse
    with pytest.raises(kind, match="no image could be looked at, 3 were tried"):
        scene.start(LabelWorker, retry_seconds=0.02, tries=1)
    assert scene.ledger.label_counts("default").decided == 0
    assert scene.left == []
    scene.label = lambda _: 95.0
    scene.start(LabelWorker)
    assert [end["expected"] for end in scene.sent("-1")] == ["3"]


def test_b_loses_no_image_by_what_every_image_fails_for(scene: Scene) -> None:
    def refuse(**_: Any) -> Any:
        raise client_error("AccessDenied", 403)

    get = scene.s3.get_object
    scene.found("1.jpg", "2.jpg").end(2).s3.get_object = refuse
    with pytest.raises(RunError, match=r"no image could be looked at, 2 were tried.*AccessDenied"):
        scene.start(TextWorker)
    assert (scene.results(), scene.asked) == ({}, [])
    scene.s3.get_object = get
    scene.start(TextWorker)
    assert set(scene.results()) == {"1.jpg", "2.jpg"}


def test_one_forbidden_object_does_not_block_the_run(scene: Scene) -> None:
    def get(**request: Any) -> Any:
        if request["Key"] == "1.jpg":
            raise client_error("AccessDenied", 403)
        return get_object(**request)

    get_object = scene.s3.get_object
    scene.found("1.jpg", "2.jpg", "3.jpg").end(3).s3.get_object = get
    scene.start(TextWorker, in_flight=1)
    failures = {index: row["failure"] for index, row in scene.results().items()}
    assert failures == {"1.jpg": "no access: AccessDenied: so it is", "2.jpg": None, "3.jpg": None}
    assert scene.left == []


def test_when_a_hundred_fail_alike_the_rest_is_not_tried(scene: Scene) -> None:
    def refuse(_: str) -> float:
        raise client_error("AccessDenied", 403)

    scene.images(*(f"{number}.jpg" for number in range(300))).label = refuse
    with pytest.raises(RunError, match="no image could be looked at, 100 were tried"):
        scene.start(LabelWorker, in_flight=1)
    assert len(scene.asked) == 100


def test_a_sums_up_what_it_did(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttle_once(_: str) -> float:
        if len(scene.asked) == 1:
            raise client_error("ThrottlingException")
        return 95.0

    monkeypatch.setattr(label_worker, "Pace", partial(Pace, clock=iter([100.0, 107.26]).__next__))
    scene.images("1.jpg", "2.jpg").label = throttle_once
    scene.s3.objects["3.jpg"] = b""
    scene.start(LabelWorker, in_flight=1)
    (line,) = (line for line in said if line["event"] == "summary")
    assert (line["finished"], line["done"], line["labelled"], line["failed"]) == (True, 3, 2, 1)
    assert (line["label_calls"], line["throttled_calls"], line["dollars"]) == (2, 1, 0.002)
    # beside those that changed something: the one for the queue's limit of receives
    assert (line["sqs_calls"], line["seconds"]) == (scene.queue.calls + 1, 7.3)


def test_a_lists_on_while_images_wait_for_a_thread(scene: Scene) -> None:
    """Else all threads would wait for a page, and then the listing for all of them."""

    def look(_: str) -> float:
        soon(lambda: "3.jpg" in [request.get("ContinuationToken") for request in scene.s3.listings])
        return 95.0

    scene.images(*(f"{number}.jpg" for number in range(1, 5))).label = look
    scene.s3.page_size = 1
    scene.start(LabelWorker, in_flight=1)
    assert len(scene.asked) == 4


def test_a_that_stops_before_the_end_says_that_it_has_not_finished(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    def look(_: str) -> float:
        scene.stop.ask()
        return 95.0

    scene.images("1.jpg", "2.jpg").label = look
    with pytest.raises(StoppedError):
        scene.start(LabelWorker, in_flight=1)
    assert [line["finished"] for line in said if line["event"] == "summary"] == [False]


def test_a_says_what_it_has_seen_and_how_long_that_took(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0

    def look(key: str) -> float | None:
        nonlocal now
        now += 1
        return 95.0 if key == "1.jpg" else None

    monkeypatch.setattr(decider, "time", SimpleNamespace(monotonic=lambda: now))
    scene.images("1.jpg", "2.jpg").label = look
    scene.s3.objects["3.jpg"] = b""
    scene.start(LabelWorker, in_flight=1)
    car = {"index": "1.jpg", "label": "Car", "confidence": 95.0, "ms": 1000}
    other = {"index": "2.jpg", "near": None, "ms": 1000}
    assert about_images(said) == [
        # what is known by the listing is decided at once
        {"event": "failed", "log_level": "warning", "index": "3.jpg", "reason": EMPTY, "ms": 0},
        {"event": "labelled", "log_level": "info", **car},
        {"event": "not labelled", "log_level": "info", **other},
    ]
    assert [line for line in said if line["event"] == "end"] == [
        {"event": "end", "log_level": "info", "index": "-1", "expected": 1}
    ]


def test_with_a_budget_a_has_counted_its_images_before_it_begins(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    """One listing for both."""
    list_page, go = scene.s3.list_objects_v2, threading.Event()

    def list_slowly(**request: Any) -> Any:
        again = request in scene.s3.listings and "MaxKeys" not in request
        assert not again or go.wait(10)
        return list_page(**request)

    scene.images("1.jpg", "10.jpg", "a.jpg", "ü.png").s3.list_objects_v2 = list_slowly
    with alongside(scene, LabelWorker, budget_dollars=1, progress_seconds=0.02):
        at_last(said, "progress", done=0, of=4)
        go.set()
    assert [request for request in scene.s3.listings if "MaxKeys" not in request] == [
        {"Bucket": "photos", "Prefix": ""}
    ] * 2


def test_a_says_how_far_it_is(scene: Scene, said: list[dict[str, Any]]) -> None:
    """Of how many, as soon as all are listed."""
    list_page, listed, go = scene.s3.list_objects_v2, threading.Event(), threading.Event()

    def list_slowly(**request: Any) -> Any:
        assert request.get("ContinuationToken") != "2.gif" or listed.wait(10)
        return list_page(**request)

    def look(key: str) -> float:
        assert key != "3.jpg" or go.wait(10)
        return 95.0

    scene.images("1.jpg", "3.jpg").label = look
    scene.s3.objects["2.gif"] = b""
    scene.s3.list_objects_v2, scene.s3.page_size = list_slowly, 1
    with alongside(scene, LabelWorker, progress_seconds=0.02):
        early = at_last(said, "progress", done=2)
        listed.set()
        late = at_last(said, "progress", done=2, of=3)
        go.set()
    assert (early["of"], early["seconds_left"]) == (None, None)
    assert (late["labelled"], late["failed"]) == (1, 1)
    assert late["per_second"] > 0
    assert late["seconds_left"] is not None


def test_a_counts_ahead_of_its_listing_while_threads_are_busy(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def look(_: str) -> float:
        assert go.wait(10)
        return 95.0

    monkeypatch.setattr(decider, "BACKLOG", 0)
    scene.images(*(f"{number}.jpg" for number in range(5))).label = look
    scene.s3.page_size = 1
    with alongside(scene, LabelWorker, in_flight=1, progress_seconds=0.02):
        at_last(said, "progress", done=0, of=5)
        assert not scene.ledger.listed("default").whole
        go.set()


def test_the_end_counts_the_decisions_themselves(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was killed has not told of its last ones; once is enough, though."""

    def counted(run: str, recount: bool = False) -> Any:
        counts = label_counts(run)
        return counts if recount else replace(counts, labelled=0)

    label_counts = scene.ledger.label_counts
    monkeypatch.setattr(scene.ledger, "label_counts", counted)
    scene.images("1.jpg").start(LabelWorker)
    assert [end["expected"] for end in scene.sent("-1")] == ["1"]


def test_every_line_about_an_image_names_it(scene: Scene, said: list[dict[str, Any]]) -> None:
    """That of a call that is made again, too."""
    failed: set[str] = set()

    def fail_once(key: str) -> float:
        if key not in failed:
            failed.add(key)
            raise client_error("InternalServerError", 500)
        return 95.0

    scene.images("1.jpg", "2.jpg").label = fail_once
    scene.start(LabelWorker)
    failed.clear()
    scene.text = lambda key: str(fail_once(key))
    scene.start(TextWorker)
    retries = [(line["call"], line["index"]) for line in said if line["event"] == "retry"]
    calls = ("Rekognition DetectLabels", "Rekognition DetectText")
    assert sorted(retries) == [(call, index) for call in calls for index in ("1.jpg", "2.jpg")]


def test_no_index_is_on_the_queue_of_which_the_ledger_does_not_know(scene: Scene) -> None:
    """Else a crash in between leaves an index that no end mark counts, and B ends too early."""
    send, unknown = scene.queue.send_message_batch, []

    def look_and_send(**request: Any) -> Any:
        bodies = [e["MessageBody"] for e in request["Entries"] if e["MessageBody"] != "-1"]
        unknown.extend(scene.ledger.undecided("default", bodies))
        return send(**request)

    scene.queue.send_message_batch = look_and_send
    scene.images(*(f"{number}.jpg" for number in range(50)))
    scene.start(LabelWorker, in_flight=8)
    assert unknown == []


def handed(scene: Scene) -> list[Picture]:
    return [kept for kind, kept, _ in scene.ledger.all_answers() if kind == Handed.KIND]


def test_what_sqs_has_is_known_to_be_handed_to_a_text_worker(scene: Scene) -> None:
    scene.images("1.jpg", "2.jpg").label = {"1.jpg": 95.0, "2.jpg": None}.get
    send = scene.queue.send_message_batch
    scene.queue.send_message_batch = Scripted(client_error("AccessDenied", 403))
    with pytest.raises(RunError):
        scene.start(LabelWorker)
    assert handed(scene) == []
    scene.queue.send_message_batch = send
    scene.start(LabelWorker)
    assert handed(scene) == [scene.picture("1.jpg")]


def test_a_run_over_keys_is_a_run_over_these(scene: Scene, tmp_path: Path) -> None:
    scene.images("1.jpg", "2.jpg", "3.jpg", "4.jpg").start(LabelWorker, run="before", prefix="1")
    (tmp_path / "keys").write_text("3.jpg\ngone.jpg\n1.jpg\n3.jpg\n")
    scene.asked.clear()
    scene.queue.messages.clear()
    scene.start(LabelWorker, keys=tmp_path / "keys")
    assert scene.asked == ["3.jpg"], "what is known costs nothing here either"
    assert sorted(set(scene.left)) == ["-1", "1.jpg", "3.jpg"]
    assert scene.sent("-1")[0]["expected"] == "2"
    (failure,) = (scene.settings.run_dir / "failed.jsonl").read_text().splitlines()
    assert json.loads(failure)["index"] == "gone.jpg"
    assert json.loads(failure)["failure"].startswith("gone: ")


def test_of_a_key_that_is_decided_s3_is_not_asked_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("1.jpg\n2.jpg\n")
    asked = Scripted(scene.s3.get_object)
    monkeypatch.setattr(scene.s3, "get_object", asked)
    failed: Future[None] = Future()
    failed.set_exception(OutageError("just before the end"))
    monkeypatch.setattr(scene.ledger, "end_run", lambda _: failed)
    for _ in range(2):
        with pytest.raises(OutageError, match="just before the end"):
            scene.images("1.jpg", "2.jpg").start(LabelWorker, keys=tmp_path / "keys")
    # once for its picture, once for whether it is still that one
    assert asked.calls == 4


def test_an_index_does_not_wait_for_others(scene: Scene) -> None:
    """The first car is on the queue while the second image is still being looked at."""
    go = threading.Event()

    def look(key: str) -> float:
        assert key == "1.jpg" or go.wait(10)
        return 95.0

    scene.images("1.jpg", "2.jpg").label = look
    worker = threading.Thread(target=scene.start, args=[LabelWorker])
    worker.start()
    soon(lambda: scene.left == ["1.jpg"])
    go.set()
    worker.join(10)
    assert scene.left == ["1.jpg", "2.jpg", "-1"]


# --- the text worker -----------------------------------------------------------------------------


def test_b_reads_what_comes_and_ends_when_all_is_counted_out(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    scene.end(2).found("2.jpg", "1.jpg").start(TextWorker)
    assert (scene.settings.run_dir / "output.txt").read_text() == (
        "1.jpg: text of 1.jpg\n2.jpg: text of 2.jpg\n"
    )
    assert scene.left == []
    asked = list(scene.asked)
    said.clear()
    scene.start(TextWorker)
    assert scene.asked == asked
    finished = {"event": "already finished", "log_level": "info", "done": 2, "with_text": 2}
    assert said == [{**finished, "note": AGAIN}]


def test_b_works_for_another_run_too_and_ends_with_its_own(scene: Scene) -> None:
    scene.found("a.jpg", run="yesterday").end(1, run="yesterday")
    scene.found("1.jpg").end(1).start(TextWorker, in_flight=1)
    assert set(scene.results("yesterday")) == {"a.jpg"}
    assert set(scene.results()) == {"1.jpg"}
    state = scene.settings.state_dir
    assert (state / "yesterday" / "output.txt").read_text() == "a.jpg: text of a.jpg\n"
    assert finished(scene.ledger.progress("yesterday"))


def test_after_a_bare_end_b_ends_when_the_queue_is_empty_for_long_enough(scene: Scene) -> None:
    scene.bare_end()
    for key in ("1.jpg", "2.jpg"):
        scene.images(key).queue.add(written_by_hand(key))
    began = time.monotonic()
    scene.start(TextWorker)
    assert set(scene.results()) == {"1.jpg", "2.jpg"}
    assert time.monotonic() - began >= 0.2
    assert scene.left == []


def test_after_a_bare_end_b_does_not_end_while_somebody_holds_a_message(scene: Scene) -> None:
    scene.bare_end().found("1.jpg")
    (held,) = scene.queue.messages[1:]
    held.visible_from = time.monotonic() + 0.6
    scene.start(TextWorker, foreign_end_seconds=0.1)
    assert set(scene.results()) == {"1.jpg"}


def test_a_count_is_worth_more_than_a_bare_end(scene: Scene) -> None:
    """One image is missing, in the dead-letter queue perhaps: the run is not done."""
    scene.bare_end().found("1.jpg").end(2)
    worker = threading.Thread(target=scene.start, args=[TextWorker], daemon=True)
    worker.start()
    soon(lambda: scene.results() and not scene.left)
    worker.join(0.6)
    assert worker.is_alive()
    scene.found("2.jpg")
    worker.join(10)
    assert set(scene.results()) == {"1.jpg", "2.jpg"}


BELIEVED = LABEL_WORKER.partition(":")[0]
FORGED_ENDS = {
    "nothing": end_entry(RunEnd("default", 0)),
    "one": end_entry(RunEnd("default", 1)),
    "very many": end_entry(RunEnd("default", 10**12)),
    "bare": written_by_hand("-1"),
}


@pytest.mark.parametrize("end", FORGED_ENDS)
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_forged_end_neither_ends_a_run_nor_keeps_it_from_its_end(
    scene: Scene, said: list[dict[str, Any]], end: str, when: str
) -> None:
    forged = FORGED_ENDS[end]
    if when == "before":
        scene.forged(forged)
    with alongside(scene, TextWorker, label_sender=BELIEVED, foreign_end_seconds=0.01) as worker:
        scene.found("1.jpg")
        soon(scene.results)
        if when == "between":
            scene.forged(forged)
            at_last(said, "message refused")
        assert worker.is_alive()
        scene.found("2.jpg").end(3)
        soon(lambda: len(scene.results()) == 2)
        if when == "after":
            scene.forged(forged)
            at_last(said, "message refused")
        assert worker.is_alive()
        scene.found("3.jpg")
    assert set(scene.results()) == {"1.jpg", "2.jpg", "3.jpg"}
    assert scene.left == ["-1"]
    assert f"sent by {SOMEBODY_ELSE}, " in at_last(said, "message refused")["problem"]


def test_what_is_forged_takes_no_images_place(scene: Scene, said: list[dict[str, Any]]) -> None:
    """Neither one that the bucket does not have, nor another state of one that it has."""
    strange = (Decision("default", 0, key, Picture('"other"', 7), CAR) for key in ("1", "2.jpg"))
    scene.forged(*map(image_entry, strange)).found("1.jpg", "2.jpg").end(2)
    scene.start(TextWorker, label_sender=BELIEVED)
    assert {key: row["failure"] for key, row in scene.results().items()} == {
        "1.jpg": None,
        "2.jpg": None,
    }
    assert sorted(scene.left) == ["1", "2.jpg"]
    at_last(said, "message refused")


def test_ends_that_count_less_than_is_done_end_nothing_at_once(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    slow = {"foreign_end_seconds": 600, "progress_seconds": 0.02}
    with alongside(scene, TextWorker, **slow) as worker:
        scene.found("1.jpg", "2.jpg")
        soon(lambda: len(scene.results()) == 2)
        scene.end(1)
        at_last(said, "waiting for an empty queue", note=Ending.CONTRADICTED.value)
        scene.found("3.jpg")
        soon(lambda: len(scene.results()) == 3)
        assert worker.is_alive()
        scene.end(3)
    assert finished(scene.ledger.progress("default"))


def test_after_an_end_that_contradicts_b_ends_when_the_queue_stays_empty(scene: Scene) -> None:
    scene.found("1.jpg", "2.jpg").end(2).start(TextWorker)
    scene.ledger.record_end(RunEnd("default", 1)).result()
    scene.found("3.jpg").start(TextWorker)
    assert set(scene.results()) == {"1.jpg", "2.jpg", "3.jpg"}
    assert scene.left == []


def test_what_somebody_may_not_have_by_hand_says_nothing_of_the_others(scene: Scene) -> None:
    """Before the first success; and there are more of them than the run has images."""

    def get(**request: Any) -> Any:
        if request["Key"] in forbidden:
            raise client_error("AccessDenied", 403)
        return get_object(**request)

    forbidden = [f"not-ours/{number}.jpg" for number in range(MOST)]
    get_object, scene.s3.get_object = scene.s3.get_object, get
    scene.forged(*map(written_by_hand, forbidden)).end(2)
    with alongside(scene, TextWorker) as worker:
        soon(lambda: len(scene.results()) == MOST)
        assert worker.is_alive()
        scene.found("1.jpg", "2.jpg")
    failed = [row for row in scene.results().values() if row["failure"]]
    assert len(failed) == MOST
    assert all("no access" in row["failure"] for row in failed)


def test_an_image_that_cannot_be_read_counts_as_done(scene: Scene) -> None:
    scene.found("1.jpg", "2.jpg", "3.jpg").end(3)
    del scene.s3.objects["2.jpg"]
    scene.s3.objects["3.jpg"] = b"GIF89a"
    scene.start(TextWorker)
    failures = {index: row["failure"] for index, row in scene.results().items()}
    assert failures["1.jpg"] is None
    assert failures["2.jpg"].startswith("gone")
    assert failures["3.jpg"].startswith("wrong format")
    assert scene.asked == ["1.jpg"]


def test_a_result_says_what_was_seen_when_and_whether_anybody_counts_it(scene: Scene) -> None:
    began = datetime.now(UTC)
    scene.found("1.jpg", "2.jpg").images("3.jpg").s3.objects["2.jpg"] = b""
    scene.queue.add(written_by_hand("3.jpg"))
    scene.end(2).start(TextWorker)
    rows = scene.results()
    assert [rows[key]["labels"][0]["name"] for key in ("1.jpg", "2.jpg")] == ["Car", "Car"]
    for row in rows.values():
        assert began - timedelta(seconds=1) < datetime.fromisoformat(row["time"])
    assert scene.ledger.progress("default").by_hand == 1


def test_a_replaced_image_is_not_taken_for_the_one_with_the_car(scene: Scene) -> None:
    scene.images("1.jpg").queue.add(
        image_entry(Decision("default", 0, "1.jpg", Picture('"another"', 7), CAR))
    )
    scene.found("2.jpg").end(2).start(TextWorker)
    assert scene.results()["1.jpg"]["failure"].startswith("replaced")
    assert scene.results()["2.jpg"]["failure"] is None


@pytest.mark.parametrize("start", ["the first", "a later one"])
def test_a_run_of_which_nothing_could_be_read_is_no_success(scene: Scene, start: str) -> None:
    scene.found("1.jpg", "2.jpg").end(2)
    scene.s3.objects.clear()
    for _ in range(1 if start == "the first" else 2):
        with pytest.raises(RunError, match=r"every image failed, 2 of 2 for this reason: gone"):
            scene.start(TextWorker)
    assert len((scene.settings.run_dir / "results.jsonl").read_text().splitlines()) == 2
    assert scene.left == []


def test_an_image_on_which_the_service_fails_comes_again(scene: Scene) -> None:
    def fail_once(key: str) -> str:
        if scene.asked.count(key) < 10 and not failed.is_set():
            raise client_error("InternalServerError", 500)
        return "read"

    failed = threading.Event()
    threading.Timer(0.2, failed.set).start()
    scene.found("1.jpg").end(1).text = fail_once
    scene.start(TextWorker, retry_seconds=0.02)
    row = scene.results()["1.jpg"]
    assert (row["failure"], row["lines"][0]["text"]) == (None, "read")


def test_its_last_try_is_kept_as_failed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str) -> str:
        if key == "2.jpg":
            return "read"
        raise client_error("InternalServerError", 500)

    monkeypatch.setattr(
        scene.queue,
        "get_queue_attributes",
        lambda **_: {"Attributes": {"QueueArn": "q", "RedrivePolicy": '{"maxReceiveCount": 2}'}},
    )
    scene.queue.second = 0.005
    scene.found("1.jpg", "2.jpg").end(2).text = fail
    scene.start(TextWorker, retry_seconds=0.02, visibility_timeout=600)
    row = scene.results()["1.jpg"]
    assert (row["labels"][0]["name"], row["failure"][:16]) == ("Car", "failed 2 times: ")
    assert scene.left == []


def test_what_a_person_asks_for_is_read_but_counts_for_no_end(scene: Scene) -> None:
    scene.images("by-hand.jpg").queue.add(written_by_hand("by-hand.jpg"))
    scene.found("1.jpg").end(2)
    worker = threading.Thread(target=scene.start, args=[TextWorker])
    worker.start()
    soon(lambda: len(scene.results()) == 2 and not scene.left)
    worker.join(0.3)
    assert worker.is_alive()
    scene.found("2.jpg")
    worker.join(10)
    assert set(scene.results()) == {"by-hand.jpg", "1.jpg", "2.jpg"}
    assert (scene.settings.run_dir / "output.txt").read_text().count("by-hand.jpg: ") == 1


def test_what_a_person_asks_for_too_is_there_once_and_holds_up_nothing(scene: Scene) -> None:
    scene.images("1.jpg").queue.add(written_by_hand("1.jpg"))
    worker = threading.Thread(target=scene.start, args=[TextWorker])
    worker.start()
    soon(lambda: scene.results() and not scene.left)
    scene.found("1.jpg").end(1)
    worker.join(10)
    assert not worker.is_alive()
    (line,) = (scene.settings.run_dir / "output.txt").read_text().splitlines()
    assert line == "1.jpg: text of 1.jpg"
    assert scene.results()["1.jpg"]["labels"][0]["confidence"] == 95.0


def test_a_double_in_one_batch_is_read_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # the worst case: an image is done before the next message of the batch is looked at
    monkeypatch.setattr(BoundedPool, "submit", lambda _, function, *args: function(*args))
    for _ in range(9):
        scene.found("1.jpg")
    scene.end(1).start(TextWorker)
    assert scene.asked == ["1.jpg"]
    assert scene.left == []


def test_a_double_that_comes_later_is_deleted_unread(scene: Scene) -> None:
    scene.found("1.jpg").end(2)
    worker = threading.Thread(target=scene.start, args=[TextWorker])
    worker.start()
    soon(lambda: scene.results() and not scene.left)
    scene.found("1.jpg", "2.jpg")
    worker.join(10)
    assert sorted(scene.asked) == ["1.jpg", "2.jpg"]
    assert scene.left == []


def test_a_stopped_b_finishes_what_is_in_flight_and_gives_back_the_rest(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    scene.queue.second = 200

    def read(_: str) -> str:
        scene.stop.ask()
        time.sleep(0.05)
        return "read"

    scene.found(*(f"{number}.jpg" for number in range(30))).end(30).text = read
    with pytest.raises(StoppedError):
        scene.start(TextWorker, in_flight=4)
    done = set(scene.results())
    assert 1 <= len(done) <= 4
    assert sorted(scene.asked) == sorted(done)
    assert not done & set(scene.left)
    assert all(m.visible_from <= time.monotonic() for m in scene.queue.messages if m.body != "-1")
    scene.text = str
    scene.start(TextWorker)
    assert len(scene.results()) == 30
    assert [line for line in said if line["event"] == "start"] == [
        {"event": "start", "log_level": "info", "bucket": "photos", "done_before": before}
        for before in (0, len(done))
    ]


def test_a_stopped_b_is_not_done_by_what_others_finish_after_its_last_look(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files do not have that: it has to be started again."""
    write = Output.write

    def write_and_then_others_finish(output: Output) -> None:
        write(output)
        if scene.stop:
            scene.ledger.complete([Result("default", "2.jpg", CAR, ())]).result()

    def stop(_: str) -> str:
        scene.stop.ask()
        return "AB 123"

    monkeypatch.setattr(Output, "write", write_and_then_others_finish)
    scene.ledger.record_end(RunEnd("default", 2)).result()
    scene.found("1.jpg").text = stop
    with pytest.raises(StoppedError):
        scene.start(TextWorker)
    scene.start(TextWorker)
    rows = (scene.settings.state_dir / "default" / "results.jsonl").read_text().splitlines()
    assert [json.loads(row)["index"] for row in rows] == ["1.jpg", "2.jpg"]


def test_a_redelivery_waits_longer_each_time(scene: Scene) -> None:
    delays: list[int] = []
    change = scene.queue.change_message_visibility_batch

    def note(**request: Any) -> Any:
        delays.extend(entry["VisibilityTimeout"] for entry in request["Entries"])
        return change(**request)

    def fail(key: str) -> str:
        if key == "2.jpg":
            return "read"
        raise client_error("InternalServerError", 500)

    scene.queue.second = 0.001
    scene.queue.change_message_visibility_batch = note
    scene.found("1.jpg", "2.jpg").end(2).text = fail
    scene.start(TextWorker, retry_seconds=0.01, visibility_timeout=3600)
    assert delays == [30, 60]
    assert scene.results()["1.jpg"]["failure"].startswith("failed 3 times: ")


def test_what_a_stopped_b_gives_back_comes_again_at_once(scene: Scene) -> None:
    """However often it has been tried: whoever is free has not failed at it."""
    delays: list[int] = []
    change = scene.queue.change_message_visibility_batch

    def note(**request: Any) -> Any:
        delays.extend(entry["VisibilityTimeout"] for entry in request["Entries"])
        return change(**request)

    def fail(_: str) -> str:
        if delays:
            scene.stop.ask()
        raise client_error("InternalServerError", 500)

    scene.queue.second = 0.001
    scene.queue.change_message_visibility_batch = note
    scene.found("1.jpg").end(1).text = fail
    with pytest.raises(StoppedError):
        scene.start(TextWorker, retry_seconds=0.01, visibility_timeout=3600)
    assert delays == [30, 0]


def test_b_does_not_ask_for_more_when_all_that_is_expected_is_in_flight(scene: Scene) -> None:
    receives, receive, go = [], scene.queue.receive_message, threading.Event()

    def note(**request: Any) -> Any:
        receives.append(1)
        return receive(**request)

    def read(key: str) -> str:
        assert go.wait(10)
        return key

    scene.queue.receive_message = note
    scene.end(1).found("1.jpg").text = read
    worker = threading.Thread(target=scene.start, args=[TextWorker])
    worker.start()
    soon(lambda: scene.asked)
    asked = len(receives)
    worker.join(0.3)
    assert len(receives) <= asked + 1
    go.set()
    worker.join(10)
    assert set(scene.results()) == {"1.jpg"}


def test_the_time_that_the_queue_must_be_empty_begins_anew_when_it_was_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second with each look at the queue."""
    looks, counters = [], scene.queue.get_queue_attributes

    def busy_at_the_third(**request: Any) -> Any:
        answer = counters(**request)["Attributes"]
        if "RedrivePolicy" not in answer:
            looks.append(1)
            answer = dict.fromkeys(answer, "1" if len(looks) == 3 else "0")
        return {"Attributes": answer}

    clock = SimpleNamespace(monotonic=lambda: len(looks))
    monkeypatch.setattr(text_worker, "time", clock)
    scene.queue.get_queue_attributes = busy_at_the_third
    scene.bare_end().start(TextWorker, foreign_end_seconds=5)
    # empty from the fourth to the ninth, and one more look when all threads have ended
    assert len(looks) == 10


def test_the_time_that_the_queue_must_be_empty_begins_anew_with_each_message(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same clock; the counters are approximate, and do not show what comes."""
    looks, counters = [], scene.queue.get_queue_attributes

    def always_empty(**request: Any) -> Any:
        answer = counters(**request)["Attributes"]
        if "RedrivePolicy" not in answer:
            looks.append(1)
            answer = dict.fromkeys(answer, "0")
            if len(looks) == 3:
                scene.images("1.jpg").queue.add(written_by_hand("1.jpg"))
        return {"Attributes": answer}

    monkeypatch.setattr(text_worker, "time", SimpleNamespace(monotonic=lambda: len(looks)))
    scene.queue.get_queue_attributes = always_empty
    scene.bare_end().start(TextWorker, foreign_end_seconds=5)
    assert set(scene.results()) == {"1.jpg"}
    # from the third to the eighth, and one more
    assert len(looks) == 9


def test_b_says_what_it_has_read_and_how_long_that_took(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0

    def read(_: str) -> str:
        nonlocal now
        now += 1
        return "AB 123\nTAXI"

    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: now))
    scene.found("1.jpg", "2.jpg").end(2).text = read
    scene.s3.objects["2.jpg"] = b""
    scene.start(TextWorker, in_flight=1)
    text = {"index": "1.jpg", "text": "AB 123 | TAXI", "ms": 1000}
    empty = {"index": "2.jpg", "reason": EMPTY, "ms": 0}
    assert about_images(said) == [
        {"event": "read", "log_level": "info", "run": "default", **text},
        {"event": "failed", "log_level": "warning", "run": "default", **empty},
    ]
    end = {"run": "default", "index": "-1", "expected": 2}
    assert [line for line in said if line["event"] == "end"] == [
        {"event": "end", "log_level": "info", **end}
    ]


def test_b_says_how_far_it_is_and_where_missing_images_may_be(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_worker, "MISSING_SECONDS", 0.05)
    go = threading.Event()

    def read(key: str) -> str:
        assert key != "3.jpg" or go.wait(10)
        return key

    scene.text = read
    with alongside(scene, TextWorker, progress_seconds=0.1):
        soon(lambda: len(said) > 5)
        assert {line["event"] for line in said} == {"start", "progress"}
        scene.s3.objects["2.gif"] = b"GIF89a"
        scene.found("1.jpg", "3.jpg").end(4)
        scene.queue.add(image_entry(Decision("default", 0, "2.gif", NO_PICTURE, CAR)))
        progress = at_last(said, "progress", done=2, of=4, in_flight=1)
        missing = at_last(said, "waiting for images")
        go.set()
        scene.found("4.jpg")
    assert (progress["with_text"], progress["failed"]) == (1, 1)
    assert progress["per_second"] > 0
    assert progress["seconds_left"] is not None
    assert missing["missing"] == 1
    assert "dead-letter queue" in missing["note"]


def test_b_alone_says_once_that_it_waits_for_a(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits() -> list[dict[str, Any]]:
        return [line for line in said if line["event"] == "waiting for a label worker"]

    monkeypatch.setattr(text_worker, "ALONE_SECONDS", 0.05)
    worker = threading.Thread(
        target=scene.start, args=[TextWorker], kwargs={"progress_seconds": 0.05}
    )
    worker.start()
    soon(waits)
    looks = len(said)
    soon(lambda: len(said) > looks + 3)
    assert [line["note"] for line in waits() if "cartext label" in line["note"]] != []
    assert len(waits()) == 1
    scene.found("1.jpg").end(1)
    worker.join(10)


def test_b_with_something_to_do_waits_for_nobody(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_worker, "ALONE_SECONDS", 0.0)
    scene.found("1.jpg")
    worker = threading.Thread(
        target=scene.start, args=[TextWorker], kwargs={"progress_seconds": 0.1}
    )
    worker.start()
    soon(lambda: [line for line in said if line["event"] == "progress" and line["done"] == 1])
    scene.end(1)
    worker.join(10)
    assert not [line for line in said if line["event"] == "waiting for a label worker"]


def test_b_does_not_say_that_images_are_missing_while_some_still_come(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_worker, "MISSING_SECONDS", 30)
    scene.found("1.jpg").end(2)
    worker = threading.Thread(
        target=scene.start, args=[TextWorker], kwargs={"progress_seconds": 0.05}
    )
    worker.start()
    soon(lambda: [line for line in said if line["event"] == "progress" and line["done"] == 1])
    scene.found("2.jpg")
    worker.join(10)
    assert not [line for line in said if line["event"] == "waiting for images"]


def test_b_sums_up_what_it_did(
    scene: Scene, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttle_once(key: str) -> str:
        if len(scene.asked) == 1:
            raise client_error("ThrottlingException")
        return key

    monkeypatch.setattr(text_worker, "Pace", partial(Pace, clock=iter([100.0, 107.26]).__next__))
    scene.found("1.jpg", "2.jpg").end(3).text = throttle_once
    scene.s3.objects["3.jpg"] = b"GIF89a"
    scene.queue.add(image_entry(Decision("default", 0, "3.jpg", NO_PICTURE, CAR)))
    scene.start(TextWorker, in_flight=1)
    (line,) = (line for line in said if line["event"] == "summary")
    assert (line["finished"], line["done"], line["with_text"], line["failed"]) == (True, 3, 2, 1)
    assert (line["text_calls"], line["throttled_calls"], line["dollars"]) == (2, 1, 0.002)
    # beside those that changed something: the one for the queue's limit of receives
    assert (line["sqs_calls"], line["seconds"]) == (scene.queue.calls + 1, 7.3)
    assert line["output"] == str(scene.settings.run_dir / "output.txt")


def test_b_that_stops_before_the_end_says_that_it_has_not_finished(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    def read(key: str) -> str:
        scene.stop.ask()
        return key

    scene.found("1.jpg").end(2).text = read
    with pytest.raises(StoppedError):
        scene.start(TextWorker)
    assert [line["finished"] for line in said if line["event"] == "summary"] == [False]


def test_b_that_cannot_write_its_output_says_that_it_has_not_finished(
    scene: Scene, said: list[dict[str, Any]]
) -> None:
    scene.settings.run_dir.write_text("a file where the run's folder must be")
    with pytest.raises(RunError, match=r"cannot write .*File exists"):
        scene.found("1.jpg").end(1).start(TextWorker)
    assert [line["finished"] for line in said if line["event"] == "summary"] == [False]


def test_what_is_in_flight_stays_hidden(scene: Scene) -> None:
    hidden: list[int] = []
    change = scene.queue.change_message_visibility_batch

    def note(**request: Any) -> Any:
        hidden.extend(entry["VisibilityTimeout"] for entry in request["Entries"])
        return change(**request)

    def read(_: str) -> str:
        soon(lambda: len(hidden) >= 3)
        return "read"

    scene.queue.second = 200
    scene.queue.change_message_visibility_batch = note
    scene.found("1.jpg").end(1).text = read
    scene.start(TextWorker, visibility_timeout=0.3, retry_seconds=60)
    assert set(hidden) == {0.3}
    assert scene.asked == ["1.jpg"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDeniedException", RunError), ("ThrottlingException", OutageError)],
)
def test_what_is_not_about_an_image_ends_b_and_keeps_the_message(
    scene: Scene, code: str, kind: type[Exception]
) -> None:
    def fail(_: str) -> str:
        raise client_error(code)

    scene.found("1.jpg").end(1).text = fail
    with pytest.raises(kind):
        scene.start(TextWorker)
    assert "1.jpg" in scene.left
    assert scene.results() == {}


def test_the_output_is_there_though_the_last_start_could_not_write_it(
    scene: Scene, tmp_path: Path
) -> None:
    scene.found("1.jpg").end(1).start(TextWorker)
    (scene.settings.run_dir / "output.txt").unlink()
    scene.start(TextWorker)
    assert (scene.settings.run_dir / "output.txt").read_text() == "1.jpg: text of 1.jpg\n"
