"""Messages there and back, batch calls that fail in part, and batches that do not wait."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.conftest import MakeCalls, MakeSettings
from tests.unit.fakes import Scripted, client_error
from tests.unit.unruly_queue import LABEL_WORKER, SOMEBODY_ELSE
from workers.errors import OutageError, PassingError, RunError, StoppedError, WorkerError
from workers.index_queue.batcher import BATCH, BATCH_BYTES, Batcher
from workers.index_queue.messages import end_entry, image_entry, parse, unsendable
from workers.index_queue.queue import IndexQueue
from workers.index_queue.sender import IndexSender
from workers.model import NO_PICTURE, Box, Decision, Label, Picture, RunEnd
from workers.threads.stop import Stop

numbers = st.floats(allow_nan=False, allow_infinity=False)
boxes = st.builds(Box, numbers, numbers, numbers, numbers)
labels = st.builds(Label, st.text(min_size=1), numbers, st.lists(boxes, max_size=3).map(tuple))
runs = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", fullmatch=True)
indexes = st.text(min_size=1, max_size=256).filter(lambda index: not unsendable(index))


def arrived(entry: dict[str, Any], receipt: str = "r", receives: int = 1) -> dict[str, Any]:
    """A sent entry as SQS hands it out."""
    return {
        "MessageId": "m",
        "ReceiptHandle": receipt,
        "Body": entry["MessageBody"],
        "Attributes": {"ApproximateReceiveCount": str(receives), "SenderId": LABEL_WORKER},
        "MessageAttributes": entry.get("MessageAttributes", {}),
    }


def message(body: str, **attributes: str) -> dict[str, Any]:
    values = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
    return arrived({"MessageBody": body, "MessageAttributes": values})


etags = st.from_regex(r'"[0-9a-f]{32}(-[0-9]{1,5})?"', fullmatch=True) | st.just("")
pictures = st.builds(Picture, etags, st.integers(0, 10**14))
some_labels = st.lists(labels, max_size=3).map(tuple)
decisions = st.builds(Decision, runs, st.integers(0, 99), indexes, pictures, some_labels)


@given(decisions, st.integers(1, 1000))
def test_an_image_comes_as_it_was_sent(decision: Decision, receives: int) -> None:
    entry = image_entry(decision)
    assert entry["MessageBody"] == decision.index
    got = parse(arrived(entry, receives=receives), "another")
    assert (got.run, got.index) == (decision.run, decision.index)
    assert (got.picture, got.labels) == (decision.picture, decision.labels)
    assert (got.receives, got.receipt) == (receives, "r")
    assert not (got.end or got.foreign_end or got.problem or got.by_hand)


@given(run=runs, expected=st.integers(0, 10**12))
def test_an_end_comes_as_it_was_sent(run: str, expected: int) -> None:
    end = RunEnd(run, expected)
    entry = end_entry(end)
    assert entry["MessageBody"] == "-1"
    got = parse(arrived(entry), "another")
    assert (got.run, got.end) == (run, end)
    assert not (got.index or got.foreign_end or got.problem)


def test_those_of_the_version_before_are_read() -> None:
    """A pair's was one shard, the only one."""
    end = message("-1", run="monday", shard="0", shards="1", expected="7")
    assert parse(end, "another").end == RunEnd("monday", 7)
    image = message("2.jpg", run="monday", shard="3", found="{}")
    assert (parse(image, "another").index, parse(image, "another").problem) == ("2.jpg", None)


def test_an_end_of_one_of_several_shards_is_refused_with_the_remedy() -> None:
    end = message("-1", run="monday", shard="0", shards="2", expected="7")
    assert "begin another run with a new CARTEXT_RUN" in (parse(end, "another").problem or "")


def test_attributes_are_what_sqs_takes() -> None:
    """No empty values, at most ten, and only the characters that SQS carries."""
    decision = Decision("r", 0, "1.jpg", NO_PICTURE, (Label("Car\x00\ud800", 91.0),))
    for entry in (image_entry(decision), end_entry(RunEnd("r", 0))):
        attributes = entry["MessageAttributes"]
        assert len(attributes) <= 10
        for value in attributes.values():
            assert value["StringValue"]
            assert not unsendable(value["StringValue"])


def test_a_bare_message_belongs_to_the_own_run() -> None:
    got = parse(message("2.jpg"), "mine")
    assert (got.run, got.index, got.labels, got.by_hand) == ("mine", "2.jpg", (), True)
    got = parse(message("-1"), "mine")
    assert (got.run, got.foreign_end, got.end) == ("mine", True, None)


def test_an_index_is_as_long_as_a_key_of_s3() -> None:
    assert parse(message("ä" * 512), "mine").index == "ä" * 512


IN_ITS_NAME = [
    end_entry(RunEnd("monday", 0)),
    end_entry(RunEnd("monday", 10**12)),
    {"MessageBody": "-1"},
    image_entry(Decision("monday", 0, "2.jpg", Picture('"etag"', 7), (Label("Car", 91.0),))),
    image_entry(Decision("monday", 0, "2.jpg")),
]


@pytest.mark.parametrize("entry", IN_ITS_NAME, ids=repr)
def test_in_the_label_workers_name_nobody_else_sends(entry: dict[str, Any]) -> None:
    label_worker, session, _ = LABEL_WORKER.partition(":")
    assert session
    came = arrived(entry)
    assert not parse(came, "monday", label_worker).problem
    for sender in (SOMEBODY_ELSE, "AROA0SOMEBODY0ELSE:i-0123", f"{label_worker}2:i-0123", ""):
        came["Attributes"]["SenderId"] = sender
        got = parse(came, "monday", label_worker)
        assert got.problem
        assert f"sent by {sender.partition(':')[0]}, " in got.problem
        assert "cartext resend" in got.problem
        assert not (got.index or got.end or got.foreign_end)
        assert not parse(came, "monday").problem


def test_a_persons_own_index_may_come_from_anybody() -> None:
    came = message("2.jpg", run="monday")
    came["Attributes"]["SenderId"] = SOMEBODY_ELSE
    got = parse(came, "monday", LABEL_WORKER.partition(":")[0])
    assert (got.run, got.index, got.by_hand, got.problem) == ("monday", "2.jpg", True, None)


BIG = "9" * 40


@pytest.mark.parametrize(
    "odd",
    [
        message("2.jpg", run="../etc"),
        message("2.jpg", run=""),
        message("2.jpg", run="a\n"),
        message("2.jpg", run="x" * 81),
        message("2.jpg", found="{"),
        message("2.jpg", found="[]"),
        message("2.jpg", found="null"),
        message("2.jpg", found='{"label":7}'),
        message("2.jpg", found='{"label":{"name":"Car"}}'),
        message("2.jpg", found='{"label":{"name":"Car","confidence":"x","boxes":[]}}'),
        message("2.jpg", found='{"label":{"name":"Car","confidence":1,"boxes":[{"up":1}]}}'),
        message("2.jpg", found='{"label":{"name":"Car","confidence":1,"boxes":7}}'),
        message("2.jpg", found='{"etag":7}'),
        message("2.jpg", found="[" * 100_000),
        message("2.jpg", found='{"label":{"name":"Car","confidence":NaN}}'),
        message("2.jpg", found='{"label":{"name":"Car","confidence":Infinity}}'),
        message("2.jpg", found='{"label":{"name":"Car","confidence":1e999}}'),
        message("2.jpg", found=json.dumps({"etag": '"a"\r\nx: y'})),
        message("2.jpg", found=json.dumps({"etag": '"\u202e"'})),
        message("2.jpg", found=json.dumps({"etag": '"\ud800"'})),
        message("2.jpg", run="ledger.sqlite3"),
        message("2.jpg", run="ledger.sqlite3-wal"),
        message("2.jpg", run="run.env"),
        message("ä" * 513),
        message("2.jpg", found=json.dumps({"label": {"name": "x" * 200_000, "confidence": 1}})),
        message("-1", run="text.lock"),
        message("-1", expected=str(2**63 - 1), shard="0", shards="1"),
        message("-1", expected="3", shard="0", shards=str(10**18)),
        message("-1", expected="many", shard="0", shards="1"),
        message("-1", expected="3", shard="0", shards="many"),
        message("-1", expected="-3", shard="0", shards="1"),
        message("-1", expected=BIG, shard="0", shards="1"),
        message("-1", expected="3", shard="0", shards=BIG),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_a_problem_and_nothing_else(odd: dict[str, Any]) -> None:
    got = parse(odd, "mine")
    assert got.problem
    assert got.run == "mine"
    assert not (got.index or got.end or got.foreign_end)


@given(
    body=st.text(min_size=1) | st.just("-1"),
    attributes=st.dictionaries(
        st.sampled_from(["run", "shard", "shards", "expected", "found", "etag"]),
        st.text()
        | st.integers().map(str)
        | st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["etag", "label", "name", "confidence", "boxes"]), inner
                )
            ),
            max_leaves=6,
        ).map(json.dumps),
    ),
)
def test_no_message_raises(body: str, attributes: dict[str, str]) -> None:
    got = parse(message(body, **attributes), "mine")
    kinds = [bool(got.index), got.end is not None, got.foreign_end, got.problem is not None]
    assert kinds.count(True) == 1


# --- calls ---------------------------------------------------------------------------------------


@pytest.fixture
def queue_of(make_calls: MakeCalls, make_settings: MakeSettings):
    def make(label_sender: str | None = None, **operations: Any) -> IndexQueue:
        settings = make_settings(
            retry_seconds=0.1, visibility_timeout=77, poll_seconds=3, label_sender=label_sender
        )
        return IndexQueue(SimpleNamespace(**operations), make_calls(settings), settings)

    return make


def all_taken(**request: Any) -> dict[str, Any]:
    return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}


def some_fail(
    *ids: str, sender_fault: bool = False, code: str = "Because"
) -> Callable[..., dict[str, Any]]:
    def answer(**request: Any) -> dict[str, Any]:
        given = [entry["Id"] for entry in request["Entries"]]
        return {
            "Successful": [{"Id": number} for number in given if number not in ids],
            "Failed": [
                {"Id": number, "SenderFault": sender_fault, "Code": code}
                for number in given
                if number in ids
            ],
        }

    return answer


def test_only_the_entries_that_failed_are_sent_again(queue_of) -> None:
    send = Scripted(some_fail("0", "2"), some_fail("2"), all_taken)
    queue = queue_of(send_message_batch=send)
    queue.send([{"MessageBody": body} for body in "abc"])
    sent = [[e["MessageBody"] for e in request["Entries"]] for request in send.requests]
    assert sent == [["a", "b", "c"], ["a", "c"], ["c"]]
    assert queue.calls_made == 3


def test_entries_that_are_in_neither_list_are_sent_again(queue_of) -> None:
    send = Scripted({"Successful": [{"Id": "1"}]}, all_taken)
    queue_of(send_message_batch=send).send([{"MessageBody": "a"}, {"MessageBody": "b"}])
    assert [len(request["Entries"]) for request in send.requests] == [2, 1]


@pytest.mark.parametrize("code", ["RequestThrottled", "KMS.ThrottlingException"])
def test_entries_that_are_too_many_for_now_are_sent_again(queue_of, code: str) -> None:
    send = Scripted(some_fail("1", sender_fault=True, code=code), all_taken)
    queue_of(send_message_batch=send).send([{"MessageBody": "a"}, {"MessageBody": "b"}])
    assert [len(request["Entries"]) for request in send.requests] == [2, 1]


def test_a_message_that_sqs_never_takes_stops_the_run(queue_of) -> None:
    send = Scripted(some_fail("1", sender_fault=True))
    with pytest.raises(RunError, match="does not take a message"):
        queue_of(send_message_batch=send).send([{"MessageBody": "a"}, {"MessageBody": "b"}])
    assert send.calls == 1


def test_entries_that_fail_all_the_time_end_the_worker_but_not_for_good(queue_of) -> None:
    with pytest.raises(PassingError) as raised:
        queue_of(send_message_batch=Scripted(some_fail("0"))).send([{"MessageBody": "a"}])
    assert isinstance(raised.value, WorkerError)
    assert raised.value.exit_status == 75


@pytest.mark.parametrize("operation", ["delete", "hide"])
def test_a_stale_receipt_is_harmless(queue_of, operation: str) -> None:
    call = Scripted(some_fail("1", sender_fault=True))
    queue = queue_of(delete_message_batch=call, change_message_visibility_batch=call)
    arguments = (["a", "b"],) if operation == "delete" else (["a", "b"], 5)
    getattr(queue, operation)(*arguments)
    assert call.calls == 1


def test_deletes_that_fail_are_made_again(queue_of) -> None:
    call = Scripted(some_fail("0"), all_taken)
    queue_of(delete_message_batch=call).delete(["a", "b"])
    assert [[e["ReceiptHandle"] for e in r["Entries"]] for r in call.requests] == [
        ["a", "b"],
        ["a"],
    ]


def test_hide_says_for_how_long(queue_of) -> None:
    call = Scripted(all_taken)
    queue_of(change_message_visibility_batch=call).hide(["a"], 0)
    assert call.requests[0]["Entries"] == [
        {"Id": "0", "ReceiptHandle": "a", "VisibilityTimeout": 0}
    ]


def test_a_receive_asks_for_what_it_needs(queue_of) -> None:
    call = Scripted({"Messages": [message("2.jpg")]}, {})
    queue = queue_of(receive_message=call)
    assert [got.index for got in queue.receive(50)] == ["2.jpg"]
    assert queue.receive(3) == []
    asked = call.requests[0]
    assert (asked["MaxNumberOfMessages"], call.requests[1]["MaxNumberOfMessages"]) == (10, 3)
    assert (asked["WaitTimeSeconds"], asked["VisibilityTimeout"]) == (3, 77)
    assert asked["MessageSystemAttributeNames"] == ["ApproximateReceiveCount", "SenderId"]
    assert asked["MessageAttributeNames"] == ["All"]


@pytest.mark.parametrize(
    "answer",
    [
        {"Messages": [{"ReceiptHandle": "r", "Attributes": {"ApproximateReceiveCount": "1"}}]},
        {"Messages": [{"Body": "2.jpg", "Attributes": {"ApproximateReceiveCount": "1"}}]},
        {"Messages": [{**message("2.jpg"), "ReceiptHandle": ""}]},
        {"Messages": [{**message("2.jpg"), "Attributes": {"ApproximateReceiveCount": "many"}}]},
        {"Messages": [{**message("2.jpg"), "Attributes": {}}]},
        {"Messages": [None]},
        {"Messages": message("2.jpg")},
        [],
        None,
        "<html>",
    ],
    ids=repr,
)
def test_a_receive_that_is_malformed_is_made_again(queue_of, answer: Any) -> None:
    queue = queue_of(receive_message=Scripted(answer, {"Messages": [message("2.jpg")]}))
    assert [got.index for got in queue.receive(10)] == ["2.jpg"]


def test_who_has_sent_it_is_asked_again_where_it_matters(queue_of) -> None:
    whole, without = message("-1"), message("-1")
    del without["Attributes"]["SenderId"]
    answers = Scripted({"Messages": [without]}, {"Messages": [whole]}, {"Messages": [without]})
    sender = LABEL_WORKER.partition(":")[0]
    believing = queue_of(receive_message=answers, label_sender=sender)
    assert [got.foreign_end for got in believing.receive(10)] == [True]
    assert answers.calls == 2
    assert [got.foreign_end for got in queue_of(receive_message=answers).receive(10)] == [True]


def test_of_another_run_the_label_worker_alone_may_ask(queue_of) -> None:
    """Else whoever may send has images paid for again and again, each time as of another run."""
    images = [message("2.jpg", run=run) for run in ("default", "other")]
    answers = Scripted({"Messages": images})
    others = queue_of(receive_message=answers, label_sender="AROASOMEBODYELSE").receive(10)
    assert [got.problem is None for got in others] == [True, False]
    assert "for the run other" in (others[1].problem or "")
    sender = LABEL_WORKER.partition(":")[0]
    theirs = queue_of(receive_message=answers, label_sender=sender).receive(10)
    assert [got.run for got in theirs] == ["default", "other"]


def test_max_receives(queue_of) -> None:
    arn = {"QueueArn": "arn:aws:sqs:us-east-1:1:index"}
    policy = {"Attributes": {**arn, "RedrivePolicy": '{"maxReceiveCount":"7"}'}}
    assert queue_of(get_queue_attributes=Scripted(policy)).max_receives() == 7
    none = {"Attributes": arn}
    assert queue_of(get_queue_attributes=Scripted(none)).max_receives() is None
    # an empty answer is none at all
    assert queue_of(get_queue_attributes=Scripted({}, policy)).max_receives() == 7


@pytest.mark.parametrize(
    ("counters", "empty"),
    [((0, 0, 0), True), ((1, 0, 0), False), ((0, 1, 0), False), ((0, 0, 1), False)],
)
def test_empty_is_all_three_counters(queue_of, counters: tuple[int, ...], empty: bool) -> None:
    def answer(**request: Any) -> dict[str, Any]:
        return {"Attributes": dict(zip(request["AttributeNames"], map(str, counters), strict=True))}

    assert queue_of(get_queue_attributes=Scripted(answer)).is_empty() is empty


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (client_error("AWS.SimpleQueueService.NonExistentQueue"), RunError, "there is no queue"),
        (client_error("AccessDenied", 403), RunError, "permission denied"),
        (
            client_error("Strange"),
            PassingError,
            "SQS ReceiveMessage failed for .*Strange: so it is",
        ),
        (client_error("RequestThrottled"), OutageError, "no answer"),
        (client_error("InternalError", 500), PassingError, "failed for"),
    ],
)
def test_a_queue_that_cannot_be_used_ends_the_worker(
    queue_of, error: Exception, kind: type[WorkerError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        queue_of(receive_message=Scripted(error)).receive(1)


# --- Batcher -------------------------------------------------------------------------------------


class Hands:
    """Takes batches and remembers them with the time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[tuple[float, list[Any]]] = []
        self._seconds = seconds
        self._changed = threading.Condition()

    def __call__(self, batch: list[Any]) -> None:
        with self._changed:
            self.batches.append((time.monotonic(), batch))
            self._changed.notify_all()
        time.sleep(self._seconds)

    def wait_for(self, items: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.items) >= items, 5)

    @property
    def items(self) -> list[Any]:
        return [item for _, batch in self.batches for item in batch]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for _, batch in self.batches]


def test_a_full_batch_leaves_at_once(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 60, stop)
    began = time.monotonic()
    for number in range(BATCH):
        batcher.put(number)
    hands.wait_for(BATCH)
    assert hands.batches[0][0] - began < 1
    assert hands.sizes == [BATCH]


def test_what_is_not_full_waits_for_the_linger(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 60, stop)
    for number in range(BATCH - 1):
        batcher.put(number)
    time.sleep(0.1)
    assert hands.sizes == []
    batcher.flush()
    assert hands.sizes == [BATCH - 1]


def test_its_threads_have_its_name_and_keep_no_process_alive(stop: Stop) -> None:
    Batcher("of-this-test", Hands(), 60, stop, threads=2)
    threads = [one for one in threading.enumerate() if one.name == "of-this-test"]
    assert [one.daemon for one in threads] == [True, True]


def test_an_item_never_waits_longer_than_the_linger(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 0.1, stop)
    began = time.monotonic()
    batcher.put("a")
    hands.wait_for(1)
    assert 0.09 <= hands.batches[0][0] - began < 0.3


def test_the_linger_counts_from_the_first_item(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 0.2, stop)
    began = time.monotonic()
    for number in range(6):
        batcher.put(number)
        time.sleep(0.06)
    hands.wait_for(1)
    assert hands.batches[0][0] - began < 0.35
    assert 2 <= hands.sizes[0] <= 5


def test_a_flush_does_not_wait_for_the_linger_and_hands_on_all(stop: Stop) -> None:
    hands = Hands(0.02)
    batcher = Batcher("b", hands, 60, stop, threads=2)
    for number in range(23):
        batcher.put(number)
    began = time.monotonic()
    batcher.flush()
    assert time.monotonic() - began < 2
    assert sorted(hands.items) == list(range(23))
    batcher.put("later")
    time.sleep(0.15)
    assert "later" not in hands.items
    batcher.flush()
    assert "later" in hands.items


def test_a_flush_of_nothing_returns(stop: Stop) -> None:
    Batcher("b", Hands(), 60, stop).flush()


def test_big_items_make_smaller_batches(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 60, stop)
    for number in range(6):
        batcher.put(number, BATCH_BYTES // 2)
    batcher.flush()
    assert hands.sizes == [2, 2, 2]


def test_many_threads_lose_nothing_and_double_nothing(stop: Stop) -> None:
    hands = Hands()
    batcher = Batcher("b", hands, 0.001, stop, threads=4)
    threads = [
        threading.Thread(target=lambda k=k: [batcher.put((k, n)) for n in range(300)])
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batcher.flush()
    assert sorted(hands.items) == [(k, n) for k in range(8) for n in range(300)]
    assert max(hands.sizes) <= BATCH
    assert min(hands.sizes) >= 1


def test_a_slow_request_does_not_keep_the_next_batch_waiting(stop: Stop) -> None:
    hands = Hands(0.5)
    batcher = Batcher("b", hands, 0.01, stop, threads=2)
    began = time.monotonic()
    batcher.put("a")
    hands.wait_for(1)
    batcher.put("b")
    hands.wait_for(2)
    assert hands.batches[1][0] - began < 0.4


def test_an_error_stops_the_worker_and_ends_the_flush(stop: Stop) -> None:
    def refuse(_: list[Any]) -> None:
        raise RunError("no")

    batcher = Batcher("b", refuse, 0, stop)
    batcher.put("a")
    batcher.flush()
    assert stop.event.wait(5)
    assert isinstance(stop.error, RunError)


def test_a_flush_does_not_outlive_a_worker_that_fails_elsewhere(stop: Stop) -> None:
    go = threading.Event()
    batcher = Batcher("b", lambda _: go.wait(20) and None, 0, stop)
    batcher.put("a")
    flush = threading.Thread(target=batcher.flush)
    flush.start()
    flush.join(0.1)
    assert flush.is_alive()
    stop.fail(RunError("no"))
    flush.join(10)
    assert not flush.is_alive()
    go.set()


def test_who_waits_for_a_place_does_not_outlive_the_worker(stop: Stop) -> None:
    go = threading.Event()
    batcher = Batcher("b", lambda _: go.wait(20) and None, 0, stop)
    threading.Timer(0.2, stop.fail, [RunError("no")]).start()
    with pytest.raises(StoppedError):
        for number in range(3000):
            batcher.put(number)
    go.set()


def test_what_is_put_while_the_worker_stops_is_still_handed_on(stop: Stop) -> None:
    """SIGTERM: what was decided is sent, what was done is deleted."""
    hands = Hands()
    batcher = Batcher("b", hands, 60, stop)
    stop.ask()
    batcher.put("a")
    batcher.flush()
    assert hands.items == ["a"]


def test_the_sender_acknowledges_only_what_sqs_has(
    make_calls: MakeCalls, make_settings: MakeSettings, stop: Stop
) -> None:
    settings = make_settings(linger_seconds=0)
    send = Scripted(some_fail("0"), all_taken)
    acknowledged: list[Decision] = []

    def keep(decisions: list[Decision]) -> None:
        assert send.calls == 2
        acknowledged.extend(decisions)

    queue = IndexQueue(SimpleNamespace(send_message_batch=send), make_calls(settings), settings)
    decision = Decision("r", 0, "1.jpg", Picture("e", 7), (Label("Car", 99.0),))
    IndexSender(queue, keep, 0, stop).send_all([decision])
    assert acknowledged == [decision]


def test_the_sender_acknowledges_nothing_that_sqs_refused(
    make_calls: MakeCalls, make_settings: MakeSettings, stop: Stop
) -> None:
    settings = make_settings(linger_seconds=0)
    send = Scripted(some_fail("0", sender_fault=True))
    queue = IndexQueue(SimpleNamespace(send_message_batch=send), make_calls(settings), settings)
    acknowledged: list[Decision] = []
    sender = IndexSender(queue, acknowledged.extend, 0, stop)
    sender.send_all([Decision("r", 0, "1.jpg", Picture("e", 7), (Label("Car", 99.0),))])
    assert acknowledged == []
    assert isinstance(stop.error, RunError)
