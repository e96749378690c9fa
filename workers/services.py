"""What a worker works with; the command makes the services, a test may hand in others."""

from __future__ import annotations

from dataclasses import dataclass

from workers.images.bucket import Bucket
from workers.index_queue.queue import IndexQueue
from workers.ledger import Ledger
from workers.recognition.recognizer import Recognizer


@dataclass(frozen=True, slots=True)
class Services:
    """One of each that a label worker and a text worker need alike."""

    ledger: Ledger
    bucket: Bucket
    recognizer: Recognizer
    index_queue: IndexQueue
