"""What keeps things: the queues, the ledger, the disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlsplit

from console.doctor.finding import unknown, wrong
from console.doctor.tools import Tools
from console.open_files import allow_files
from console.status.queue import dead_letters_of
from console.words import bytes_text, duration_text
from workers.aws.answers import AttributesAnswer, reader
from workers.aws.codes import code_of, is_denied
from workers.aws.meaning import NO_QUEUE
from workers.errors import RunError
from workers.ledger.dynamodb.items import LEDGER, VERSION
from workers.ledger.dynamodb.table import Table
from workers.ledger.sqlite import SqliteLedger
from workers.ledger.sqlite_file import VersionBeforeError
from workers.output.files import advice
from workers.paths import is_there

FIFO = ".fifo"
LEAST_RETENTION = 86_400
LEAST_FREE = 100_000_000
# no message, no receipt and no number of messages is like these: SQS refuses them for that
NO_DELAY, NO_RECEIPT, TOO_MANY = 999_999, "none", 99
# what it says then, by its pages of today and of before
OUT_OF_RANGE = {
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "ReadCountOutOfRange",
    "ValidationError",
    "ValidationException",
}

SENDS = ("SendMessage",)
TAKES = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")

_attributes = reader(AttributesAnswer)


def queue(tools: Tools) -> str:
    """There, of this region, with a dead-letter queue, and fitting the settings."""
    settings, url = tools.settings, tools.settings.queue_url
    receives, dead = _fit(tools, url, "CARTEXT_QUEUE_URL")
    if receives < settings.tries:
        raise wrong(
            f"a message is given up after {receives} receives, before an image's "
            f"{settings.tries} tries are over",
            f"raise its maxReceiveCount, or set CARTEXT_TRIES={receives}",
        )
    least = round(1.5 * settings.retry_seconds)
    if settings.visibility_timeout < least:
        raise wrong(
            f"a heartbeat may come too late: CARTEXT_VISIBILITY_TIMEOUT is "
            f"{settings.visibility_timeout} s, a call is tried for {settings.retry_seconds:g} s",
            f"set CARTEXT_VISIBILITY_TIMEOUT={least}",
        )
    return f"{url}, {dead}, {settings.visibility_timeout} s of visibility timeout"


def messages(tools: Tools) -> str:
    """Whether messages may be sent, received and deleted; none is, for no request is right."""
    settings = tools.settings
    if settings.queue_url.endswith(FIFO):
        raise unknown("not asked", "mend the queue first")
    return _permitted(tools, settings.queue_url, SENDS * settings.labels + TAKES * settings.reads)


def parts_queue(tools: Tools) -> str:
    """A queue of its own like the index queue; a label worker sends to it and takes from it."""
    url, setting = tools.settings.parts_queue_url, "CARTEXT_PARTS_QUEUE_URL"
    if url is None:
        raise wrong(
            "label workers that share a table take the parts of the listing from a queue",
            f"set {setting} (terraform output: parts_queue_url)",
        )
    _, dead = _fit(tools, url, setting)
    return f"{url}, {dead}, {_permitted(tools, url, SENDS + TAKES)}"


def _fit(tools: Tools, url: str, setting: str) -> tuple[int, str]:
    """After how many receives a queue gives a message up, and where that goes."""
    region = tools.clients["sqs"].meta.region_name
    host = urlsplit(url).hostname or ""
    if host.startswith("sqs.") and host.split(".")[1] != region:
        raise wrong(f"{url} is not in {region}", f"correct {setting}, or AWS_REGION")
    if url.endswith(FIFO):
        raise wrong(f"{url} is a FIFO queue", "give a standard queue (terraform/queue.tf)")
    try:
        attributes = _attributes_of(tools, url)
    except RunError as error:
        if code_of(error.__cause__ or error) not in NO_QUEUE.codes:
            raise
        raise wrong(f"there is no queue {url}", f"correct {setting}") from error
    policy = json.loads(attributes.get("RedrivePolicy", "null"))
    if policy is None:
        raise wrong(
            "it has no dead-letter queue: a message that nobody understands comes for ever",
            "give it a redrive policy (terraform/queue.tf)",
        )
    retention = int(attributes["MessageRetentionPeriod"])
    if retention < LEAST_RETENTION:
        raise wrong(
            f"its messages are lost after {duration_text(retention)}",
            "let it keep them for 14 days (MessageRetentionPeriod)",
        )
    return int(policy["maxReceiveCount"]), _dead_letters(tools, dead_letters_of(url, attributes))


def _attributes_of(tools: Tools, url: str) -> dict[str, str]:
    sqs = tools.clients["sqs"]
    return tools.calls.call(
        "SQS GetQueueAttributes",
        lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
        _attributes,
    )["Attributes"]


def _dead_letters(tools: Tools, url: str) -> str:
    name = url.rpartition("/")[2]
    try:
        dead = _attributes_of(tools, url)
    except RunError as error:
        if is_denied(error.__cause__ or error):
            return f"dead letters go to {name}"
        raise wrong(f"its dead-letter queue {name} is not there", "make it anew") from error
    return f"{int(dead['ApproximateNumberOfMessages'])} dead letters in {name}"


def _permitted(tools: Tools, url: str, operations: tuple[str, ...]) -> str:
    sqs, receipt = tools.clients["sqs"], {"Id": "0", "ReceiptHandle": NO_RECEIPT}
    message = {"Id": "0", "MessageBody": "none", "DelaySeconds": NO_DELAY}
    probes: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "SendMessage": (sqs.send_message_batch, {"Entries": [message]}),
        "ReceiveMessage": (sqs.receive_message, {"MaxNumberOfMessages": TOO_MANY}),
        "DeleteMessage": (sqs.delete_message_batch, {"Entries": [receipt]}),
        "ChangeMessageVisibility": (
            sqs.change_message_visibility_batch,
            {"Entries": [{**receipt, "VisibilityTimeout": 0}]},
        ),
    }
    for name in operations:
        request, arguments = probes[name]
        tools.prove(f"SQS {name}", OUT_OF_RANGE, request, QueueUrl=url, **arguments)
    return f"not refused: {', '.join(operations)}"


def ledger(tools: Tools) -> str:
    """It can be read and written, and every worker of a kind has the same."""
    settings = tools.settings
    path = settings.ledger_file
    if path is None:
        return _table(tools, settings.ledger_url.removeprefix("dynamodb://"))
    if not is_there(path):
        return f"{path} will be made"
    if not os.access(path, os.W_OK):
        raise wrong(f"{path} may not be written by this user", "give it to the workers' user")
    try:
        with closing(SqliteLedger(path, read_only=True)) as opened:
            opened.progress(settings.run)
    except VersionBeforeError:
        return f"{path} is of the version before, and will be taken along"
    return str(path)


def _table(tools: Tools, name: str) -> str:
    table = Table(name, tools.clients["dynamodb"], tools.calls)
    table.check_version()
    # what its first worker writes
    table.insert({(LEDGER, "version"): {"value": VERSION}})
    nowhere = "doctor/nothing", "nothing"
    # a write on a condition that does not hold
    put = table.put(nowhere, {})
    put["Put"]["ConditionExpression"] = "attribute_exists(pk)"
    table.transact([put])
    return f"the table {name!r} may be read and written"


def open_files(tools: Tools) -> str:
    """As many as the images in flight need."""
    return f"{allow_files(tools.settings)} may be needed, and are allowed"


def disk(tools: Tools) -> str:
    """The state folder: somebody can write there, and there is room."""
    folder = tools.settings.state_dir.absolute()
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise wrong(f"{folder} cannot be used: {error.strerror}", advice(error)) from error
    if free < LEAST_FREE:
        raise wrong(f"{there} has {bytes_text(free)} left", "make room on its disk")
    owner = f"uid {there.stat().st_uid}"
    return f"{folder} ({owner}), {bytes_text(free)} free"
