"""What can go wrong, by what it means for the image, the worker and the run.

Exception
├── ImageError            this image can never succeed: kept with its reason, counts as done
│   └── AccessError       this image cannot be had; when none can, the worker ends with 78
├── NotListerError        another worker of the fleet goes on with the listing
└── WorkerError           the worker ends, with one line for a person
    ├── PassingError      75  a call failed for as long as it is tried; about an image: later
    ├── OutageError       75  a service cannot be reached or keeps refusing
    ├── StoppedError      75  it was asked to stop
    └── RunError          78  settings, permissions or the disk are wrong
        └── OverBudgetError   the run may cost more than it is allowed to
"""

from __future__ import annotations

DONE = 0
START_AGAIN = 75
DO_NOT_START_AGAIN = 78


class ImageError(Exception):
    """This image can never succeed; the text is the reason that is kept with it."""


class AccessError(ImageError):
    """This image cannot be had, by a permission or a key; when none can, it is everybody's."""


class NotListerError(Exception):
    """Another worker of the fleet goes on with the listing."""


class WorkerError(Exception):
    """The worker ends; the text is the one line that a person reads."""

    exit_status = START_AGAIN


class PassingError(WorkerError):
    """The service failed for as long as one call is tried; later it may not.

    About an image, only that image is left for later; about anything else the worker ends.
    """


class StoppedError(WorkerError):
    """It was asked to stop, and what was not begun stays undone."""

    def __init__(self, text: str = "stopped before the end; start again to go on") -> None:
        super().__init__(text)


class OutageError(WorkerError):
    """A service cannot be reached or keeps refusing; starting again later goes on from here."""


class RunError(WorkerError):
    """Settings, permissions or the disk are wrong; starting again changes nothing."""

    exit_status = DO_NOT_START_AGAIN


class OverBudgetError(RunError):
    """The run may cost more than its budget, and has not begun."""
