"""What the doctor says of one point, and how an error of AWS becomes that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from workers.aws.codes import FROM_AWS, is_denied, is_throttled, row_of
from workers.aws.meaning import Meaning
from workers.errors import ImageError, OutageError, WorkerError
from workers.output.escapes import visible

AGAIN = "ask again in a moment"


class Verdict(Enum):
    """How it is with a point; the value is what a person reads."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "not known"
    UNPROVEN = "not provable"


@dataclass(frozen=True)
class Finding:
    """What was found at a point, and what to do where it is not right."""

    point: str
    verdict: Verdict
    text: str
    remedy: str = ""


@dataclass(eq=False)
class NotRight(Exception):  # noqa: N818 - it is a finding
    """A check ends with this where it does not find what is right."""

    verdict: Verdict
    text: str
    remedy: str = ""


def wrong(text: str, remedy: str) -> NotRight:
    """The point is wrong."""
    return NotRight(Verdict.WRONG, text, remedy)


def unknown(text: str, remedy: str = "") -> NotRight:
    """Nobody here can tell."""
    return NotRight(Verdict.UNKNOWN, text, remedy)


def unproven(text: str, remedy: str) -> NotRight:
    """Only a call that is paid for would tell."""
    return NotRight(Verdict.UNPROVEN, text, remedy)


@dataclass(frozen=True)
class Point:
    """A check by its name: it returns what is right in words, or raises what is not.

    What the workers themselves never ask is `optional`: a call that is refused or has no answer
    then tells nothing.
    """

    name: str
    check: Callable[[], str]
    optional: bool = False

    def examine(self) -> Finding:
        """Makes the check; whatever happens there, it is a finding."""
        try:
            found = NotRight(Verdict.RIGHT, self.check())
        except NotRight as error:
            found = error
        except (WorkerError, ImageError) as error:
            found = self._judge(error)
        except Exception as error:
            found = unknown(f"{type(error).__name__}: {error}", "report this: a fault of cartext's")
        return Finding(self.name, found.verdict, visible(found.text), visible(found.remedy))

    def _judge(self, error: WorkerError | ImageError) -> NotRight:
        cause = error.__cause__
        if not isinstance(cause, FROM_AWS):
            text, _, remedy = str(error).partition("; ")
            if isinstance(error, OutageError):
                return unknown(text, AGAIN)
            return wrong(text, remedy or "correct what it names")
        row = row_of(cause)
        passing = row.meaning is Meaning.PASSING or is_throttled(cause)
        if passing:
            return unknown(str(error), AGAIN)
        unasked = self.optional and (row.meaning is Meaning.OUTAGE or is_denied(cause))
        return (unknown if unasked else wrong)(str(error), row.do)
