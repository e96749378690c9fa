"""Whatever lies in a bucket or breaks in mid-run has one clear outcome."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from sandbox.aws.rekognition import service as rekognition
from sandbox.aws.server import Fault
from sandbox.processes import settings
from sandbox.scenes import Sample
from tests.pair.conftest import Fleet, Worker, told_apart


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _padded(jpeg: bytes, size: int) -> bytes:
    """The same picture in a file of `size` bytes: what stands behind a JPEG's end is not read."""
    return jpeg + b"\0" * (size - len(jpeg))


@pytest.fixture(scope="session")
def car(samples: list[Sample]) -> Sample:
    """A car with one plate."""
    return next(s for s in samples if s.truth.car and len(s.truth.text) == 1)


def _picture(sample: Sample) -> Image.Image:
    return Image.open(io.BytesIO(sample.data)).convert("RGB")


NOT_IMAGES: dict[str, tuple[Callable[[Sample], bytes], str]] = {
    "zero.jpg": (lambda _: b"", "empty"),
    "text.jpg": (lambda _: b"this is no picture\n" * 20, "InvalidImageFormatException"),
    "cut.jpg": (lambda s: s.data[: len(s.data) // 3], "InvalidImageFormatException"),
    "moving.gif": (lambda s: _encoded(_picture(s), "GIF"), "InvalidImageFormatException"),
    "web.webp": (lambda s: _encoded(_picture(s), "WEBP"), "InvalidImageFormatException"),
    "old.bmp": (lambda s: _encoded(_picture(s), "BMP"), "InvalidImageFormatException"),
    "phone.heic": (
        lambda _: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 500,
        "InvalidImageFormatException",
    ),
    "small.png": (
        lambda s: _encoded(_picture(s).resize((79, 200)), "PNG"),
        "InvalidParameterException",
    ),
    "wide.png": (
        lambda _: _encoded(Image.new("RGB", (10_001, 90), "white"), "PNG"),
        "ImageTooLargeException",
    ),
    "heavy.jpg": (lambda s: _padded(s.data, 15 * 2**20 + 100_000), "too large"),
}


def test_what_is_no_image_is_a_failed_image_with_its_reason(fleet: Fleet, car: Sample) -> None:
    files = {name: make(car) for name, (make, _) in NOT_IMAGES.items()}
    fleet.sandbox.create_bucket(fleet.bucket, [*files.items(), ("good.jpg", car.data)])
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    failures = fleet.failures()
    assert failures.keys() == files.keys()
    for name, (_, reason) in NOT_IMAGES.items():
        assert failures[name].startswith(reason), (name, failures[name])
    assert fleet.output() == f"good.jpg: {car.truth.text[0]}\n"


def test_bytes_mode_of_the_label_worker_finds_the_same_without_asking_rekognition(
    fleet: Fleet, car: Sample
) -> None:
    files = {name: make(car) for name, (make, _) in NOT_IMAGES.items()}
    fleet.sandbox.create_bucket(fleet.bucket, [*files.items(), ("good.jpg", car.data)])
    rekognition.reset_counts()
    worker = fleet.start("label", label_source="bytes")
    assert worker.wait() == 0
    assert fleet.failures().keys() == files.keys()
    counts = rekognition.counts()["DetectLabels"]
    # the one file that only a decoder can tell from a picture
    assert counts["good"] == 1
    assert counts["failed"] <= 1


def test_every_kind_of_picture_is_read(fleet: Fleet, car: Sample) -> None:
    picture = _picture(car)
    alpha = picture.convert("RGBA")
    alpha.putalpha(200)
    files = {
        "progressive.jpg": _encoded(picture, "JPEG", progressive=True, quality=92),
        "cmyk.jpg": _encoded(picture.convert("CMYK"), "JPEG", quality=95),
        "alpha.png": _encoded(alpha, "PNG"),
        "png.jpg": _encoded(picture, "PNG"),
        "1.1 MB.jpg": _padded(car.data, 1_100_000),
        "5.1 MB.jpg": _padded(car.data, 5_347_738),
    }
    fleet.sandbox.create_bucket(fleet.bucket, files.items())
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    assert fleet.failures() == {}
    results = fleet.results()
    assert {index: [line["text"] for line in row["lines"]] for index, row in results.items()} == {
        index: list(car.truth.text) for index in files
    }


ODD_KEYS = [
    "with space.jpg",
    "line\nbreak.jpg",
    "tab\there.jpg",
    "ünïcödé.jpg",
    "emoji 🚗👨‍👩‍👧.jpg",
    "plus+plus.jpg",
    "100%25.jpg",
    "#hash?query&x=1.jpg",
    "/leading/slash.jpg",
    'quote".jpg',
    "back\\slash.jpg",
    "a: b | c.jpg",
    "folder/2.jpg",
    "folder/10.jpg",
]


def test_odd_keys_break_nothing(fleet: Fleet, car: Sample) -> None:
    markers = [("folder/", b""), ("empty folder/", b"")]
    fleet.sandbox.create_bucket(
        fleet.bucket, [*markers, *((key, car.data) for key in ODD_KEYS), ("-1", car.data)]
    )
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    assert fleet.results().keys() == set(ODD_KEYS)
    lines = fleet.output().splitlines()
    assert len(lines) == len(ODD_KEYS)
    assert "line\\nbreak.jpg: " + car.truth.text[0] in lines
    assert lines.index(f"folder/2.jpg: {car.truth.text[0]}") + 1 == lines.index(
        f"folder/10.jpg: {car.truth.text[0]}"
    )
    assert "end mark" in fleet.failures()["-1"]


def test_objects_that_are_deleted_or_replaced_between_a_and_b(
    fleet: Fleet, car: Sample, samples: list[Sample]
) -> None:
    keys = ("1.jpg", "2.jpg", "3.jpg")
    fleet.sandbox.create_bucket(fleet.bucket, [(key, car.data) for key in keys])
    assert fleet.start("label").wait() == 0
    sign = next(s for s in samples if s.truth.text and not s.truth.car)
    s3 = fleet.sandbox.client("s3")
    s3.delete_object(Bucket=fleet.bucket, Key="1.jpg")
    s3.put_object(Bucket=fleet.bucket, Key="2.jpg", Body=sign.data)
    assert fleet.start("text").wait() == 0
    results = fleet.results()
    assert results["1.jpg"]["failure"].startswith("gone")
    assert results["2.jpg"]["failure"].startswith("replaced")
    assert fleet.output() == f"3.jpg: {car.truth.text[0]}\n"


def test_a_bucket_of_other_files_is_no_success(fleet: Fleet) -> None:
    files = [(f"{n}.txt", b"this is no picture\n" * 20) for n in range(12)]
    fleet.sandbox.create_bucket(fleet.bucket, files)
    a, b = fleet.run_pair()
    assert b.wait() == 0, "it was told of none"
    _stopped(a, 78, "every image failed, 12 of 12", "InvalidImageFormatException")
    _stopped(fleet.start("label"), 78, "every image failed, 12 of 12")
    assert len(fleet.failures()) == 12


def test_an_empty_bucket_is_a_finished_run(fleet: Fleet) -> None:
    fleet.sandbox.create_bucket(fleet.bucket)
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    assert (fleet.output(), fleet.output("results.jsonl")) == ("", "")


def _stopped(worker: Worker, status: int, *words: str) -> None:
    """It ended with this status and one line with these words, and no stack trace."""
    assert worker.wait() == status, worker.log.read_text()
    last = worker.events[-1]
    assert last["event"] == "stopped"
    for word in words:
        assert word in last["reason"], last["reason"]
    assert "Traceback" not in worker.log.read_text()
    assert "\n" not in last["reason"]


def test_no_such_bucket(fleet: Fleet) -> None:
    _stopped(fleet.start("label"), 78, "no bucket 'photos'", "CARTEXT_BUCKET")


@pytest.mark.parametrize(
    ("role", "operation"),
    [("label", "SQS.SendMessageBatch"), ("text", "Rekognition.DetectText")],
)
def test_no_permission(fleet: Fleet, car: Sample, role: str, operation: str) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [("1.jpg", car.data)])
    if role == "text":
        assert fleet.start("label").wait() == 0
    fleet.sandbox.faults.append(Fault(operation, "AccessDeniedException", status=403))
    _stopped(fleet.start(role), 78, "permission denied")


def test_credentials_that_expire_in_mid_run(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [(f"{n}.jpg", told_apart(car, n)) for n in range(30)])
    pair = fleet.start("label", quota=4), fleet.start("text", quota=4)
    pair[1].wait_for("read")
    fleet.sandbox.faults.append(Fault(".", "ExpiredTokenException"))
    for worker in pair:
        _stopped(worker, 78, "credentials have expired")
    fleet.sandbox.faults.clear()
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    assert len(fleet.results()) == 30


def test_a_queue_that_goes_away_in_mid_run(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [(f"{n}.jpg", told_apart(car, n)) for n in range(30)])
    pair = fleet.start("label", quota=4), fleet.start("text", quota=4)
    pair[1].wait_for("read")
    fleet.sandbox.client("sqs").delete_queue(QueueUrl=fleet.queue)
    for worker in pair:
        _stopped(worker, 78, "no queue")


def test_an_outage_stops_the_worker_to_be_started_again(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [("1.jpg", car.data)])
    throttled = Fault("Rekognition.DetectLabels", "ThrottlingException")
    fleet.sandbox.faults.append(throttled)
    worker = fleet.start("label", retry_seconds=1)
    _stopped(worker, 75, "Rekognition DetectLabels", "ThrottlingException")
    fleet.sandbox.faults.clear()
    assert [worker.wait() for worker in fleet.run_pair()] == [0, 0]
    assert len(fleet.results()) == 1


def test_no_network_says_so(fleet: Fleet) -> None:
    environment = fleet.sandbox.environment(
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        **settings(
            bucket="photos",
            queue_url="http://127.0.0.1:9/1/index",
            state_dir=fleet.folder / "nowhere",
            retry_seconds=1,
        ),
    )
    _stopped(Worker("label", environment, fleet.folder / "log"), 75, "no answer for 1 s")


def test_a_reader_of_the_log_that_leaves_ends_nothing(fleet: Fleet, car: Sample) -> None:
    """`cartext label 2>&1 | head -1`: the run is done, every image of it."""
    fleet.sandbox.create_bucket(fleet.bucket, [(f"{n}.jpg", told_apart(car, n)) for n in range(20)])
    values = {"bucket": fleet.bucket, "queue_url": fleet.queue, "state_dir": fleet.folder / "label"}
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$0" -m console label 2>&1 | head -1; exit "${PIPESTATUS[0]}"',
            sys.executable,
        ],
        env=fleet.sandbox.environment(**settings(**values, run="test", log_format="json")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    text = fleet.start("text")
    assert text.wait() == 0
    assert len(fleet.results()) == 20


def test_a_second_worker_in_the_same_folder_is_refused(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [("1.jpg", car.data)])
    first = fleet.start("text")
    first.wait_for("start")
    _stopped(fleet.start("text"), 78, "another text worker is at work")
    assert fleet.start("label").wait() == 0
    assert first.wait() == 0


def test_two_runs_side_by_side_do_not_mix(fleet: Fleet, car: Sample) -> None:
    fleet.sandbox.create_bucket(fleet.bucket, [(f"{n}.jpg", told_apart(car, n)) for n in range(6)])
    one = fleet.start("label", run="one", state_dir=fleet.folder / "a")
    two = fleet.start("label", run="two", state_dir=fleet.folder / "b")
    assert [one.wait(), two.wait()] == [0, 0]
    for run in ("one", "two"):
        assert fleet.start("text", run=run, state_dir=fleet.folder / "text").wait() == 0
    assert fleet.results("one").keys() == fleet.results("two").keys()


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can only be mounted by root")
@pytest.mark.parametrize("role", ["label", "text"])
def test_a_full_disk(fleet: Fleet, car: Sample, tmp_path: Path, role: str) -> None:
    state = tmp_path / "small"
    state.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(state)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        # of names as long as they may be a few fill it
        keys = [f"{'long name ' * 100}{n}.jpg" for n in range(100)]
        fleet.sandbox.create_bucket(
            fleet.bucket, [(key, told_apart(car, n)) for n, key in enumerate(keys)]
        )
        if role == "text":
            assert fleet.start("label", quota=1000).wait() == 0
        _stopped(fleet.start(role, state_dir=state, quota=1000), 78, "disk", str(state))
        subprocess.run(["mount", "-o", "remount,size=50m", str(state)], check=True)
        assert fleet.start(role, state_dir=state, quota=1000).wait() == 0
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)
