"""The images: the bucket, one of them, the permission to look at it, and what all may cost."""

from __future__ import annotations

import shlex
import time
from contextlib import closing
from typing import Any

from console.doctor.finding import unknown, unproven, wrong
from console.doctor.tools import Tools
from console.plan.model import IMAGE_NAMES
from console.services import ledger_if_any
from console.words import bytes_text
from workers import price
from workers.aws.quota import Quota
from workers.errors import RunError
from workers.estimate import Estimate
from workers.images.bucket import HEAD_BYTES, Bucket, where
from workers.images.limits import broken_content, unfit
from workers.ledger.sqlite_file import VersionBeforeError
from workers.model import Image, Listed
from workers.question import LabelQuestion
from workers.recognition.rekognition import Rekognition
from workers.settings import Settings
from workers.threads.stop import Stop

NO_IMAGE = b"no image"
LABELS = "https://docs.aws.amazon.com/rekognition/latest/dg/labels.html"
LISTING_SECONDS = 6.0


def bucket(tools: Tools) -> str:
    """There, in this region, may be listed under the prefix, and ours."""
    settings = tools.settings
    tools.bucket.check()
    told = f"s3://{settings.bucket}/{settings.prefix}"
    if settings.expected_bucket_owner or not tools.account:
        return told
    ours = settings.model_copy(update={"expected_bucket_owner": tools.account})
    try:
        Bucket(tools.clients["s3"], tools.calls, ours).check()
    except RunError as error:
        raise unknown(
            f"{told} belongs to another account than the login's",
            "say whose it must be with CARTEXT_EXPECTED_BUCKET_OWNER",
        ) from error
    return f"{told}, of this account"


def image(tools: Tools) -> str:
    """One of them can be read, by the key that it is encrypted with."""
    found = first_image(tools)
    s3 = tools.clients["s3"]
    whose: Any = where(tools.settings)

    def read(reply: Any) -> tuple[str, bytes]:
        key = reply.get("SSEKMSKeyId") or reply.get("ServerSideEncryption", "none")
        with closing(reply["Body"]) as body:
            return key, body.read()

    key, data = tools.calls.call(
        f"S3 GetObject of {found.index}",
        lambda: s3.get_object(**whose, Key=found.index, Range=f"bytes=0-{HEAD_BYTES - 1}"),
        read,
        about_image=True,
    )
    told = f"{found.index} is readable, {bytes_text(found.size)}, encryption {key}"
    # one that is none is a failed image, not a wrong setting
    broken = broken_content(data)
    return f"{told}; but it will fail, {broken}" if broken else told


def first_image(tools: Tools) -> Image:
    """The first one of the listing that fits, best one that is named like an image."""
    _, listed = next(tools.bucket.parts(Listed()), (None, []))
    page = tools.bucket.identified(listed)
    fitting = [each for each in page if not unfit(each)]
    named = [each for each in fitting if each.index.lower().endswith(IMAGE_NAMES)]
    if not fitting:
        raise wrong(
            f"there is no image under s3://{tools.settings.bucket}/{tools.settings.prefix}",
            "check CARTEXT_PREFIX, or upload images",
        )
    return (named or fitting)[0]


def label(tools: Tools) -> str:
    """Spelled as Rekognition spells its labels: the label worker takes no other spelling."""
    names = tools.settings.label
    spelled = ",".join(_spelled(name) for name in names)
    for name in names:
        if name[:1] != _spelled(name)[:1]:
            raise wrong(
                f"{name!r} is none of Rekognition's labels: they begin with a capital",
                f"set CARTEXT_LABEL={shlex.quote(spelled)}",
            )
    known = Settings.model_fields["label"].default
    if strange := [name for name in names if name not in known]:
        told = " and ".join(map(repr, strange))
        raise unknown(f"whether Rekognition has the label {told}", f"look for it in {LABELS}")
    return f"{spelled}, letter by letter"


def _spelled(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def label_detection(tools: Tools) -> str:
    """Whether DetectLabels is permitted."""
    return _permitted(tools, "DetectLabels", tools.clients["rekognition"].detect_labels)


def text_detection(tools: Tools) -> str:
    """Whether DetectText is permitted."""
    return _permitted(tools, "DetectText", tools.clients["rekognition"].detect_text)


def _permitted(tools: Tools, operation: str, request: Any) -> str:
    refused = {"InvalidImageFormatException"}
    tools.prove(f"Rekognition {operation}", refused, request, Image={"Bytes": NO_IMAGE})
    return "permitted: what is no image was refused for that, and not charged"


def answers(tools: Tools) -> str:
    """Whether Rekognition looks at the bucket's images: `--paid` asks about one of them."""
    settings = tools.settings
    calls = settings.labels + settings.reads
    if not settings.paid:
        raise unproven(
            "whether Rekognition looks at the bucket's images",
            f"--paid asks about one of them ({price.dollars_text(price.dollars(calls))})",
        )
    image = first_image(tools)
    client, quota = tools.clients["rekognition"], Quota(settings.quota, Stop())
    recognizer = Rekognition(client, tools.bucket, tools.calls, quota, settings)
    told = []
    if settings.labels:
        question = LabelQuestion.of(settings)
        seen = question.seen(recognizer.labels(image.index, image.etag, question.floor))
        told += [f"{label.confidence:.1f} % {label.name}" for label in seen.found]
        told += [] if seen.found else [f"no {' or '.join(settings.label)}"]
    if settings.reads:
        told.append(f"{len(recognizer.text(image.index, image.etag).lines)} lines of text")
    cost = price.dollars_text(price.dollars(recognizer.paid_calls))
    return f"{image.index}: {', '.join(told)}; {recognizer.paid_calls} calls were paid for ({cost})"


def budget(tools: Tools) -> str:
    """What a run may still cost, as far as its images are soon listed."""
    settings = tools.settings
    try:
        with ledger_if_any(settings) as ledger:
            estimate = Estimate(settings, ledger)
            all_listed = _list_soon(tools, estimate)
    except VersionBeforeError as error:
        raise unknown(
            "what of the images is answered, in a ledger of the version before",
            "start a worker, which takes it along, and ask again",
        ) from error
    if estimate.refusal:
        text, _, remedy = estimate.refusal.partition("; ")
        raise wrong(text, remedy)
    cost = price.dollars_text(estimate.dollars_at_most)
    images = f"{estimate.images:,} images, {estimate.answered:,} of them answered,"
    if not all_listed:
        raise unknown(f"more than {images} {cost} at most so far", "cartext plan lists all")
    told = f"{images} may cost {cost}"
    budget = price.budget_of(settings)
    if budget is None:
        raise unknown(f"{told}, and no budget holds it", "set CARTEXT_BUDGET_DOLLARS")
    return f"{told}, the budget is {price.dollars_text(budget)}"


def _list_soon(tools: Tools, estimate: Estimate) -> bool:
    """Adds the images that are soon listed; whether these are all."""
    ends = time.monotonic() + LISTING_SECONDS
    for page in tools.bucket.pages():
        estimate.add(tools.bucket.identified(page))
        if time.monotonic() > ends:
            return False
    return True
