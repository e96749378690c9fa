"""Where an image's CPU time goes: `python -m bench.parts` in a stub's environment prints JSON.

One thread does what the workers' threads do, so that each part can be timed for itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from console.services import make_services
from workers import log
from workers.answer import LabelAnswer, TextAnswer
from workers.events import Labelled, TextRead, say
from workers.index_queue.batcher import BATCH
from workers.index_queue.messages import image_entry
from workers.ledger import SqliteLedger
from workers.model import Decision, Result
from workers.output.files import write_results
from workers.question import LabelQuestion
from workers.settings import Settings
from workers.threads.stop import Stop

# by the name of the source file; a file of no part belongs to whoever called it
PARTS = (
    ("signing", ("botocore/auth", "hmac.py")),
    ("request body", ("botocore/serialize", "json/encoder", "base64.py")),
    ("answer", ("botocore/parsers", "json/decoder", "imagesize")),
    ("sockets", ("/socket.py", "/ssl.py", "http/client", "urllib3/util/wait")),
    ("HTTP", ("urllib3/", "/email/", "botocore/httpsession", "botocore/awsrequest")),
    ("rest of botocore", ("/botocore/",)),
    ("ours", ("/workers/", "/tenacity/")),
)


class Bench:
    """The parts of a worker, used by one thread."""

    def __init__(self, folder: Path) -> None:
        settings, stop = Settings(quota=1e6, log_format="json"), Stop()  # type: ignore[call-arg]
        self.ledger = SqliteLedger(folder / "ledger.sqlite3")
        services = make_services(settings, self.ledger, stop)
        self.recognizer, self.queue = services.recognizer, services.index_queue
        self.folder = folder
        self.pages = services.bucket.pages()
        self.images = next(services.bucket.pages())
        self.question = LabelQuestion.of(settings)
        self.answers = self.look(0), self.read(0)
        labels = self.question.seen(self.answers[0]).found
        lines = self.answers[1].lines
        self.decisions = [
            Decision("bench", 0, image.index, image.picture, labels) for image in self.images
        ]
        self.results = [Result("bench", d.index, labels, lines) for d in self.decisions]
        self.receipts: list[str] = []
        log.configure(settings, "bench")

    def look(self, number: int) -> LabelAnswer:
        """Asks for an image's labels."""
        image = self.images[number % len(self.images)]
        return self.recognizer.labels(image.index, image.etag, self.question.floor)

    def read(self, number: int) -> TextAnswer:
        """Downloads an image and reads it."""
        image = self.images[number % len(self.images)]
        return self.recognizer.text(image.index, image.etag)

    def decide(self, number: int) -> None:
        """Keeps an answer and the decision by it."""
        decision = self.decisions[number]
        self.ledger.keep(decision.picture, self.answers[0])
        self.ledger.decide([decision]).result()

    def complete(self, number: int) -> None:
        """Keeps an answer and the result by it."""
        self.ledger.keep(self.decisions[number].picture, self.answers[1])
        self.ledger.complete([self.results[number]]).result()

    def receive(self, _: int) -> None:
        """Ten messages, of which the receipts are kept."""
        self.receipts += [message.receipt for message in self.queue.receive(BATCH)]

    def parts(self) -> dict[str, tuple[Callable[[int], Any], int]]:
        """What each part does when it is done for the n-th time, and for how many images."""
        entries = [image_entry(decision) for decision in self.decisions[:BATCH]]
        labelled = [Labelled(d.index, "Car", 98.7, 250) for d in self.decisions]
        read = [TextRead(d.index, "AB 123", 250) for d in self.decisions]
        return {
            "A listing": (lambda _: next(self.pages), 1000),
            "A DetectLabels, first byte": (self.look, 1),
            "A ledger": (self.decide, 1),
            "A send": (lambda _: self.queue.send(entries), BATCH),
            "A log": (lambda n: say(labelled[n]), 1),
            "B receive": (self.receive, BATCH),
            "B GetObject, DetectText": (self.read, 1),
            "B ledger": (self.complete, 1),
            "B delete": (lambda n: self.queue.delete(self.receipts[n * 10 : n * 10 + 10]), BATCH),
            "B log": (lambda n: say(read[n]), 1),
            "B output, each time": (lambda _: self.write(), 500),
        }

    def write(self) -> None:
        """The whole output anew."""
        write_results(self.folder, self.ledger.results("bench"))


def main() -> None:
    """Times the parts and divides the calls."""
    times = int(sys.argv[1])
    with (
        Path(os.devnull).open("w") as sys.stderr,
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
    ):
        bench = Bench(Path(folder))
        found: dict[str, float] = {}
        for name, (function, images) in bench.parts().items():
            rounds = times if images == 1 else 20
            before = time.process_time()
            for number in range(rounds):
                function(number)
            found[name] = (time.process_time() - before) / rounds / images * 1000
        calls = {
            "DetectLabels, first byte": bench.look,
            "GetObject, DetectText": bench.read,
        }
        shares = {name: _shares(function, times) for name, function in calls.items()}
        bench.ledger.close()
    print(json.dumps({"milliseconds": found, "shares": shares}))


def _shares(function: Callable[[int], Any], times: int) -> dict[str, float]:
    """What the CPU was at, by samples of its own time, which slow no part."""
    samples: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        part = None
        while frame and not part:
            part = _part(frame.f_code.co_filename)
            frame = frame.f_back
        samples[part or "ours"] += 1

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    for number in range(times):
        function(number)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {name: samples[name] / samples.total() for name, _ in PARTS}


def _part(file: str) -> str | None:
    return next((part for part, words in PARTS if any(word in file for word in words)), None)


if __name__ == "__main__":
    main()
