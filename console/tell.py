"""Whoever listens to an SNS topic hears how a run has ended: in plain words, and each news once.

It is told from around the workers, which know nothing of it. Whether it comes off decides nothing.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from console.status.look import read
from console.status.render import cost_text, works_text
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import OverBudgetError, RunError, StoppedError, WorkerError
from workers.ledger import Ledger
from workers.output.escapes import visible
from workers.settings import Settings
from workers.threads.stop import Stop

log = structlog.get_logger()

# what hangs for longer is left: with the drain, that is within a unit's time to stop
LONGEST_SECONDS, RETRY_SECONDS = 20.0, 10.0
# SNS takes no longer subject
SUBJECT_LENGTH = 100


@contextmanager
def telling(
    settings: Settings,
    role: str,
    ledger: Ledger,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[None]:
    """Around a worker's work: tells how that ends, where a topic is set."""

    def ends(error: Exception | None = None) -> None:
        try:
            if settings.topic_arn and _is_news(settings, role, ledger, error, clock()):
                tell(settings, role, error, _numbers(settings, ledger))
        except Exception as trouble:
            log.warning("not told", reason=str(trouble))

    try:
        yield
    except Exception as error:
        ends(error)
        raise
    ends()


def tell(settings: Settings, role: str, error: Exception | None, numbers: str = "") -> None:
    """Tells the topic that a worker, or a plan, has ended with this error, or without one."""
    subject, text = as_message(settings, role, error, numbers)

    def publish() -> None:
        try:
            (sns,) = make_clients(settings, "sns")
            calls = Calls(settings.model_copy(update={"retry_seconds": RETRY_SECONDS}), Stop())
            message = {"TopicArn": settings.topic_arn, "Subject": subject, "Message": text}
            told = calls.call(
                "SNS Publish", lambda: sns.publish(**message), lambda reply: reply["MessageId"]
            )
            log.info("told", subject=subject, message=told)
        except Exception as trouble:
            log.warning("not told", reason=str(trouble))

    publishing = threading.Thread(target=publish, name="tell", daemon=True)
    publishing.start()
    publishing.join(LONGEST_SECONDS)
    if publishing.is_alive():
        log.warning("not told", reason=f"SNS Publish: no answer for {LONGEST_SECONDS:g} s")


def as_message(
    settings: Settings, role: str, error: Exception | None, numbers: str
) -> tuple[str, str]:
    """Subject and text."""
    headline, todo = _ending(settings, role, error)
    where = f"s3://{settings.bucket}/{settings.prefix}"
    parts = [
        visible(f"Run {settings.run} over {where}: {headline}, says {role} on {settings.worker}."),
        visible(_reason(error)),
        numbers,
        f"What to do: {todo}.",
    ]
    subject = f"cartext: {headline}, run {settings.run}"
    return subject[:SUBJECT_LENGTH], "\n\n".join(filter(None, parts)) + "\n"


def _reason(error: Exception | None) -> str:
    if error is None or isinstance(error, WorkerError):
        return str(error or "")
    return f"a bug, {type(error).__name__}: {error}"


def _ending(settings: Settings, role: str, error: Exception | None) -> tuple[str, str]:
    """How it ended in a few words, and what a person does now."""
    play = f"ansible-playbook run.yml -e run={settings.run}"
    match error:
        case None if role == "label":
            return "every image is looked at", "nothing, the run ends with its text worker"
        case None:
            return "finished", (
                f"fetch the output from {settings.run_dir.resolve()}; from instances: "
                f"ansible-playbook fetch.yml -e run={settings.run}"
            )
        case OverBudgetError():
            return "over its budget", (
                "nothing was started. If it may cost that, raise the budget; for instances "
                "budget_dollars in terraform.tfvars, then terraform apply, ansible-playbook "
                f"site.yml, {play}"
            )
        case RunError():
            return "stopped, to be mended", (
                "mend that (docs/errors.md says how); a run that has not ended then goes on when "
                f"the worker is started again, on instances: {play}"
            )
        case StoppedError():
            return "stopped", (
                "to go on, start the worker again; on instances: "
                f"{play}. Others of a fleet go on meanwhile"
            )
        case _:
            return "interrupted", (
                "nothing on instances, where it is started again until it goes on; elsewhere "
                "start the worker again"
            )


def _is_news(
    settings: Settings, role: str, ledger: Ledger, error: Exception | None, now: datetime
) -> bool:
    """Whether nobody has told this yet: an end once, a stop once an hour.

    A worker may be stopped and started again all night, and a fleet has many of them. Of each name
    that a run has in the ledger, the first value stays: whose it is may tell.
    """
    headline, _ = _ending(settings, role, error)
    name = f"told {role} {headline}" + (f" {now:%Y-%m-%dT%H}" if error else "")
    mine = uuid.uuid4().hex
    try:
        ledger.settle(settings.run, {name: mine}).result()
        return ledger.settled(settings.run).get(name) == mine
    except WorkerError:
        # nobody can say: what is not started again is not told again
        return error is None or isinstance(error, RunError)


def _numbers(settings: Settings, ledger: Ledger) -> str:
    """What the ledger knows of the run: a pair's, of its own worker only."""
    try:
        status = read(ledger, settings)
    except WorkerError:
        return ""
    if not status.works:
        return ""
    parts = [works_text(status), cost_text(status)]
    if not status.label:
        parts.append("What the label worker has done and paid, it tells by itself.")
    return "\n\n".join(parts)
