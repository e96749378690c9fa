"""Where the services are made and put together; who wants others hands them in instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.aws.quota import Quota
from workers.images.bucket import Bucket
from workers.index_queue.queue import IndexQueue
from workers.ledger import Ledger, open_ledger
from workers.recognition.rekognition import Rekognition
from workers.services import Services
from workers.settings import Settings
from workers.threads.stop import Stop


def open_bucket(settings: Settings) -> Bucket:
    """The bucket that the settings name; RunError without a region or a login."""
    (s3,) = make_clients(settings, "s3")
    return Bucket(s3, Calls(settings, Stop()), settings)


@contextmanager
def ledger_if_any(settings: Settings) -> Iterator[Ledger | None]:
    """The ledger that the settings name, read only; None where that is a file not made yet."""
    path = settings.ledger_file
    if path and not path.exists():
        yield None
        return
    with closing(open_ledger(settings, read_only=True)) as ledger:
        yield ledger


def make_services(settings: Settings, ledger: Ledger, stop: Stop) -> Services:
    """A worker's services on AWS; RunError without a region or a login."""
    s3, sqs, rekognition = make_clients(settings, "s3", "sqs", "rekognition")
    return services_on(settings, ledger, stop, Calls(settings, stop), (s3, sqs, rekognition))


def services_on(
    settings: Settings, ledger: Ledger, stop: Stop, calls: Calls, clients: tuple[Any, Any, Any]
) -> Services:
    """A worker's services on these clients of S3, SQS and Rekognition."""
    s3, sqs, rekognition = clients
    bucket = Bucket(s3, calls, settings)
    return Services(
        ledger=ledger,
        bucket=bucket,
        recognizer=recognizer_on(settings, stop, calls, bucket, rekognition),
        index_queue=IndexQueue(sqs, calls, settings),
    )


def recognizer_on(
    settings: Settings, stop: Stop, calls: Calls, bucket: Bucket, client: Any
) -> Rekognition:
    """Rekognition on this client, within this worker's share of the quota."""
    quota = Quota(settings.quota / settings.quota_workers, stop)
    return Rekognition(client, bucket, calls, quota, settings)
