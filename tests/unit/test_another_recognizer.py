"""A recogniser is whatever has two methods: one of our own in the whole pair, nothing patched."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tenacity import wait_none

from tests.unit.conftest import MakeSettings
from tests.unit.fakes import FakeS3, png
from tests.unit.unruly_queue import UnrulyQueue
from workers import reader
from workers.answer import LabelAnswer, TextAnswer
from workers.aws.calls import Calls
from workers.errors import ImageError
from workers.images.bucket import Bucket
from workers.index_queue.queue import IndexQueue
from workers.label_worker import LabelWorker
from workers.ledger import open_ledger
from workers.model import Box, Label, TextLine
from workers.services import Services
from workers.text_worker import TextWorker
from workers.threads.stop import Stop


class Captions:
    """Believes what is written behind an image's pixels: `Car: TAXI 7`."""

    paid_calls = throttled_calls = 0

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def labels(self, index: str, etag: str, floor: float) -> LabelAnswer:
        name, _ = self._caption(index, etag)
        return LabelAnswer(floor, "captions", (Label(name, 100.0, (Box(0, 0, 1, 1),)),))

    def text(self, index: str, etag: str) -> TextAnswer:
        _, text = self._caption(index, etag)
        return TextAnswer((TextLine(text, 100.0),) if text else ())

    def _caption(self, index: str, etag: str) -> tuple[str, str]:
        data = self._bucket.download(index, etag) or b""
        caption = data.removeprefix(png()).decode()
        if ":" not in caption:
            raise ImageError("no caption: write what it shows behind its pixels")
        name, _, text = caption.partition(": ")
        return name, text


def test_the_pair_works_with_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reader, "DELETE_LINGER_SECONDS", 0.005)
    captions = {"1.jpg": "Car: TAXI 7", "2.jpg": "Dog: REX", "3.jpg": "Car: ", "4.jpg": "what"}
    s3 = FakeS3({index: png(tail=text.encode()) for index, text in captions.items()})
    queue = UnrulyQueue(random.Random(0), chance=0)
    for kind in (LabelWorker, TextWorker):
        settings = make_settings(state_dir=tmp_path / kind.__name__)
        stop = Stop()
        calls = Calls(settings, stop, backoff=wait_none())
        bucket, ledger = Bucket(s3, calls, settings), open_ledger(settings)
        services = Services(ledger, bucket, Captions(bucket), IndexQueue(queue, calls, settings))
        kind(settings, services, stop).run()
        ledger.close()
    output = tmp_path / "TextWorker" / "default" / "output.txt"
    failed = tmp_path / "LabelWorker" / "default" / "failed.jsonl"
    assert output.read_text() == "1.jpg: TAXI 7\n"
    assert "4.jpg" in failed.read_text()
    assert queue.messages == []
