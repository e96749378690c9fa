"""All points, side by side and within a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from botocore.exceptions import InvalidRegionError, NoRegionError, UnknownRegionError

from console.doctor import account, images, storage
from console.doctor.finding import Finding, Point, Verdict, unknown
from console.doctor.tools import Clock, DoctorSettings, Tools
from console.doctor.topic import topic
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import WorkerError
from workers.threads.stop import Stop

T = TypeVar("T")

# a call is tried for so long; what has said nothing by the end is out of reach; a login may be
# looked for over the network, too, before there are clients
RETRY_SECONDS = 2.0
CLIENTS_SECONDS, LOGIN_SECONDS, LONGEST_SECONDS = 5.0, 5.0, 14.0
SILENT = "no answer in time", "look for a firewall or a proxy in between"

SERVICES = ("s3", "sqs", "sts", "dynamodb", "service-quotas", "sns")
NO_REGION = (NoRegionError, InvalidRegionError, UnknownRegionError)
# the points that a wrong region leaves open, and those that need no login
OF_REKOGNITION = {"label detection", "text detection", "quota", "answers"}
OF_THE_BUCKET = {"image", "answers", "budget"}
OF_THIS_MACHINE = {"label", "disk", "open files"}


def examine(settings: DoctorSettings, clock: Clock | None = None) -> list[Finding]:
    """What was found at every point, in the order in which a person mends them."""
    ends = time.monotonic() + LONGEST_SECONDS
    calls = Calls(settings.model_copy(update={"retry_seconds": RETRY_SECONDS}), Stop())
    tools = Tools(settings, calls, clock or Clock(), {})
    first = _login_and_region(tools)
    blocked = {finding.point for finding in first if finding.verdict is Verdict.WRONG}
    rest = _side_by_side([_unless(blocked, point, tools) for point in _points(tools)], ends)
    clock_too = Point("clock", partial(account.clock, tools)).examine()
    return [*first, clock_too, *_without_the_bucket(rest)]


def _points(tools: Tools) -> list[Point]:
    settings = tools.settings
    shares_parts = settings.labels and settings.ledger_file is None
    of_labels = {"label": images.label, "label detection": images.label_detection}
    checks: dict[str, Callable[[Tools], str]] = {
        "bucket": images.bucket,
        "image": images.image,
        **(of_labels if settings.labels else {}),
        **({"text detection": images.text_detection} if settings.reads else {}),
        "answers": images.answers,
        "quota": account.quotas,
        "queue": storage.queue,
        "messages": storage.messages,
        **({"parts queue": storage.parts_queue} if shares_parts else {}),
        "ledger": storage.ledger,
        "disk": storage.disk,
        "open files": storage.open_files,
        **({"budget": images.budget} if settings.labels else {}),
        **({"topic": topic} if settings.topic_arn else {}),
    }
    return [Point(name, partial(check, tools), name == "quota") for name, check in checks.items()]


def _login_and_region(tools: Tools) -> list[Finding]:
    """Makes the clients; what forbids that is about the one or the other."""
    try:
        trouble = _begin(partial(_open, tools)).result(CLIENTS_SECONDS)
    except TimeoutError:
        return [Finding("login", Verdict.WRONG, *SILENT)]
    no_region = trouble and isinstance(trouble.__cause__, NO_REGION)
    about = "region" if tools.clients or no_region else "login"

    def said_of(point: str, check: Callable[[Tools], str]) -> Callable[[], str]:
        def say() -> str:
            if trouble and about == point:
                raise trouble
            return check(tools)

        return say

    checks = {"login": account.login, "region": account.region}
    if not tools.clients:
        checks = {about: checks[about]}
    # a network without an endpoint of STS has, perhaps, those that the workers need
    points = [Point(name, said_of(name, check), not trouble) for name, check in checks.items()]
    return _side_by_side(points, time.monotonic() + LOGIN_SECONDS)


def _open(tools: Tools) -> WorkerError | None:
    try:
        clients = make_clients(tools.settings, *SERVICES)
        tools.clients = dict(zip(SERVICES, clients, strict=True))
        (tools.clients["rekognition"],) = make_clients(tools.settings, "rekognition")
    except WorkerError as error:
        return error
    finally:
        for client in tools.clients.values():
            tools.clock.watch(client)
    return None


def _unless(blocked: set[str], point: Point, tools: Tools) -> Point:
    """The point, or why nobody asks it."""
    in_a_file = tools.settings.ledger_file is not None
    if point.name in OF_THIS_MACHINE or (point.name == "ledger" and in_a_file):
        return point
    if "login" in blocked or not tools.clients or (blocked and point.name in OF_REKOGNITION):
        return Point(point.name, partial(_not_asked, "".join(blocked) or "login"))
    return point


def _not_asked(blocked: str) -> str:
    raise unknown("not asked", f"mend the {blocked} first")


def _without_the_bucket(findings: list[Finding]) -> list[Finding]:
    """What is wrong with the bucket is said once."""
    if not any(f.point == "bucket" and f.verdict is Verdict.WRONG for f in findings):
        return findings
    hidden = partial(_not_asked, "bucket")
    return [Point(f.point, hidden).examine() if f.point in OF_THE_BUCKET else f for f in findings]


def _side_by_side(points: list[Point], ends: float) -> list[Finding]:
    futures = [(point, _begin(point.examine)) for point in points]
    return [_by(ends, point, future) for point, future in futures]


def _by(ends: float, point: Point, future: Future[Finding]) -> Finding:
    try:
        return future.result(max(0.0, ends - time.monotonic()))
    except TimeoutError:
        verdict = Verdict.UNKNOWN if point.optional else Verdict.WRONG
        return Finding(point.name, verdict, *SILENT)


def _begin(work: Callable[[], T]) -> Future[T]:
    """Begins work in a thread that, whatever hangs in it, does not keep the process."""
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return future
