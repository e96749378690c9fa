"""What a run asks: an answer that is kept serves a question as well as a new one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from workers.answer import CONFIDENCE_UNIT, LabelAnswer
from workers.model import Box, Label, TextLine
from workers.settings import Settings

# everything that is surer is kept, whatever a run asks for; Rekognition's own default
FLOOR = 55.0
# so much of a text must lie on a box
ON_BOX = 0.5


class Seen(NamedTuple):
    """A question's labels in a picture: `found` is surer than asked for, `near` the best of not."""

    found: tuple[Label, ...]
    near: Label | None


@dataclass(frozen=True, slots=True)
class LabelQuestion:
    """Which pictures have one of the labels, with a confidence *higher* than this."""

    labels: tuple[str, ...]
    confidence: float

    @classmethod
    def of(cls, settings: Settings) -> LabelQuestion:
        """The run's."""
        return cls(settings.label, settings.min_confidence)

    @property
    def floor(self) -> float:
        """From what confidence up Rekognition is asked for labels: one that an answer can keep."""
        return min(FLOOR, math.floor(self.confidence * CONFIDENCE_UNIT) / CONFIDENCE_UNIT)

    def ask(self, packed: bytes) -> Seen | None:
        """What a packed answer says; None when it was asked for surer labels only."""
        answer = LabelAnswer.unpack(packed, self.labels)
        return self.seen(answer) if answer.floor <= self.confidence else None

    def seen(self, answer: LabelAnswer) -> Seen:
        """What an answer says."""
        asked = [label for label in answer.labels if label.name in self.labels]
        # what is equal is not higher
        found = tuple(label for label in asked if label.confidence > self.confidence)
        return Seen(found, None if found or not asked else asked[0])


@dataclass(frozen=True, slots=True)
class TextQuestion:
    """Which lines of text: so sure, with `pattern` in them, on a box of the label if `on_label`."""

    confidence: float
    pattern: str = ""
    on_label: bool = False

    @classmethod
    def of(cls, settings: Settings) -> TextQuestion:
        """The run's."""
        on_label = settings.text_on == "label"
        return cls(settings.text_confidence, settings.text_pattern, on_label)

    def chosen(
        self, lines: tuple[TextLine, ...], labels: tuple[Label, ...]
    ) -> tuple[TextLine, ...]:
        """Those of the lines; `labels` are the ones for which the picture is read."""
        boxes = [box for label in labels for box in label.boxes]
        return tuple(
            line
            for line in lines
            if line.confidence >= self.confidence
            and (not self.pattern or re.search(self.pattern, line.text))
            and (not self.on_label or any(_on(line, box) for box in boxes))
        )


def _on(line: TextLine, box: Box) -> bool:
    """Whether at least half of the line, its upright rectangle, lies on the box."""
    if not line.polygon:
        return False
    xs, ys = zip(*line.polygon, strict=True)
    width = _overlap(min(xs), max(xs), box.left, box.left + box.width)
    height = _overlap(min(ys), max(ys), box.top, box.top + box.height)
    return width * height >= ON_BOX


def _overlap(first: float, last: float, begin: float, end: float) -> float:
    """Which part of a stretch lies within another one."""
    if last == first:
        return float(begin <= first <= end)
    return max(0.0, min(last, end) - max(first, begin)) / (last - first)
