"""What a run is like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.proxy import Fault

Choose = Callable[[str, str, int], Fault | None]
"""What a worker's n-th call, from 1, of an operation meets, if anything."""

PAID = {"label": "DetectLabels", "text": "DetectText"}


def nothing(_worker: str, _operation: str, _number: int) -> None:
    """What a run without a fault meets."""


@dataclass(frozen=True)
class Plan:
    """What a run is like.

    `must_meet` are faults without which it proves nothing. One that `stops` is over when a worker
    has ended as it was asked to. `broken` breaks a rule in each of its workers.
    """

    name: str
    faults: Choose = nothing
    must_meet: frozenset[str] = frozenset()
    images: int = 12
    stops: bool = False
    dynamodb: bool = False
    each: int = 1
    """How many workers there are of each kind; more than one have a table."""
    told: bool = False
    """Whether what they do to their disks is told, so that the power can be cut."""
    seed: int = 0
    """Of what a power cut leaves."""
    patience: float = 300.0
    label_source: str = "s3"
    label_in_flight: int = 4
    text_in_flight: int = 4
    rekognition_seconds: float = 0.05
    broken: Callable[[], None] | None = None

    @property
    def workers(self) -> dict[str, str]:
        """The role of each, by its name."""
        if self.each == 1:
            return {role: role for role in PAID}
        return {f"{role}-{number + 1}": role for number in range(self.each) for role in PAID}

    def in_flight(self, role: str) -> int:
        """How many images a worker works on at once."""
        return self.label_in_flight if role == "label" else self.text_in_flight
