"""What a worker works with; the command makes the services, a test may hand in others."""

from __future__ import annotations

from dataclasses import dataclass

from workers.alive import Alive
from workers.images.bucket import Bucket
from workers.index_queue.queue import IndexQueue
from workers.ledger import Ledger
from workers.parts.queue import PartQueue
from workers.recognition.recognizer import Recognizer


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a label worker has where there are others."""

    alive: Alive
    parts_queue: PartQueue


@dataclass(frozen=True, slots=True)
class Services:
    """One of each that a label worker and a text worker need alike; `fleet` is of the former."""

    ledger: Ledger
    bucket: Bucket
    recognizer: Recognizer
    index_queue: IndexQueue
    fleet: Fleet | None = None
