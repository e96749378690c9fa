"""Where the services are made and put together; who wants others hands them in instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from workers.alive import Alive
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.aws.quota import Quota, whole
from workers.errors import RunError
from workers.images.bucket import Bucket
from workers.index_queue.queue import IndexQueue
from workers.ledger import Ledger, open_ledger
from workers.parts.queue import PartQueue
from workers.paths import is_there
from workers.recognition.rekognition import Rekognition
from workers.services import Fleet, Services
from workers.settings import Settings
from workers.threads.stop import Stop


def open_bucket(settings: Settings) -> Bucket:
    """The bucket that the settings name; RunError without a region or a login."""
    (s3,) = make_clients(settings, "s3")
    return Bucket(s3, Calls(settings, Stop()), settings)


def no_ledger(settings: Settings) -> RunError:
    """What a person hears who looks where none is."""
    return RunError(
        f"there is no ledger {settings.ledger_url}; give a worker's --state-dir (on an instance it "
        "is /var/lib/cartext), or --ledger"
    )


@contextmanager
def ledger_if_any(settings: Settings) -> Iterator[Ledger | None]:
    """The ledger that the settings name, read only; None where that is a file not made yet."""
    path = settings.ledger_file
    if path and not is_there(path):
        yield None
        return
    with closing(open_ledger(settings, read_only=True)) as ledger:
        yield ledger


def make_services(
    settings: Settings, ledger: Ledger, stop: Stop, alive: Alive | None = None
) -> Services:
    """A worker's services on AWS; RunError without a region or a login."""
    clients = make_clients(settings, "s3", "sqs", "rekognition")
    return services_on(settings, ledger, stop, Calls(settings, stop), clients, alive=alive)


def services_on(  # noqa: PLR0913 - what all of them need
    settings: Settings,
    ledger: Ledger,
    stop: Stop,
    calls: Calls,
    clients: tuple[Any, Any, Any],
    *,
    alive: Alive | None = None,
) -> Services:
    """A worker's services on these clients of S3, SQS and Rekognition; `alive` in a fleet."""
    s3, sqs, rekognition = clients
    bucket = Bucket(s3, calls, settings)
    quota = Quota(settings.quota, stop, share=alive.share if alive else whole)
    url, fleet = settings.parts_queue_url, None
    if alive and url:
        # of its own, for what it says of a queue that is not there
        of_parts = Calls(settings.model_copy(update={"queue_url": url}), stop)
        fleet = Fleet(alive, PartQueue(sqs, of_parts, url, settings))
    return Services(
        ledger=ledger,
        bucket=bucket,
        recognizer=Rekognition(rekognition, bucket, calls, quota, settings),
        index_queue=IndexQueue(sqs, calls, settings),
        fleet=fleet,
    )
