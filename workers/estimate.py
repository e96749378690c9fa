"""What a run will still cost at most, from what is listed and the answers that are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from workers.answer import Handed, LabelAnswer, TextAnswer
from workers.images.limits import unfit
from workers.ledger import Ledger
from workers.model import Image, Picture
from workers.price import budget_of, dollars, dollars_text
from workers.question import LabelQuestion, Seen
from workers.settings import Settings

# so many pictures that cost something are told from their copies, in some 20 MB
MOST_TOLD_APART = 250_000


@dataclass
class Estimate:
    """Counts images, page by page, and the calls that they cost; without a ledger all are new.

    Of the `images` that can be looked at so many are `answered`; the others are new, replaced, or
    asked about with a floor that is `too_high` for this run. `copies` of them are paid for with
    another one: at least so many, where not `all_copies` are known. Of the `text_calls` so many are
    `sure`: their images have the label.
    """

    settings: Settings
    ledger: Ledger | None
    images: int = 0
    answered: int = 0
    too_high: int = 0
    copies: int = 0
    text_calls: int = 0
    sure: int = 0
    all_copies: bool = True
    _paid: set[int] = field(default_factory=set)

    @property
    def new(self) -> int:
        """How many images have no answer that serves."""
        return self.images - self.answered

    @property
    def label_calls(self) -> int:
        """How many pictures are looked at, at most."""
        return self.new - self.copies

    @property
    def dollars_at_most(self) -> float:
        """Every new picture has the label, so that each is looked at and read."""
        return dollars(self.label_calls + self.text_calls)

    @property
    def dollars_at_least(self) -> float:
        """No new picture has the label."""
        return dollars(self.label_calls + self.sure)

    @property
    def refusal(self) -> str | None:
        """Why the run does not start, if its budget forbids it."""
        cost, budget = self.dollars_at_most, budget_of(self.settings)
        if budget is None or cost <= budget:
            return None
        return (
            f"run {self.settings.run!r} may cost {dollars_text(cost)} ({self.label_calls:,} images "
            f"to look at, {self.text_calls:,} to read), more than the budget of "
            f"{dollars_text(budget)}; raise CARTEXT_BUDGET_DOLLARS, narrow CARTEXT_PREFIX, or "
            "start with --over-budget"
        )

    def add(self, images: list[Image]) -> None:
        """Counts a page of the run's images, with one look into the ledger for each kind."""
        pictures = [image.picture for image in images if not unfit(image)]
        seen = self._seen(pictures)
        self.images += len(pictures)
        self.answered += sum(picture in seen for picture in pictures)
        may_be_read = [each for each in pictures if each not in seen or seen[each].found]
        read = self._read(may_be_read)
        for picture in may_be_read:
            is_new, is_unread = picture not in seen, picture not in read
            if not (is_new or is_unread):
                continue
            if self._is_copy(picture):
                self.copies += is_new
            else:
                self.text_calls += is_unread
                self.sure += is_unread and not is_new

    def _seen(self, pictures: list[Picture]) -> dict[Picture, Seen]:
        """What is seen in those of the pictures that are answered."""
        question = LabelQuestion.of(self.settings)
        answers = self._answers(LabelAnswer.KIND, pictures)
        seen = {each: found for each, packed in answers.items() if (found := question.ask(packed))}
        self.too_high += sum(each in answers and each not in seen for each in pictures)
        return seen

    def _read(self, pictures: list[Picture]) -> set[Picture]:
        """Those of the pictures that are read, or a text worker reads them by now."""
        read = set(self._answers(TextAnswer.KIND, pictures))
        if self.ledger and not self.ledger.fleet:
            # a text worker elsewhere keeps its answers for itself
            read |= set(self._answers(Handed.KIND, pictures))
        return read

    def _answers(self, kind: str, pictures: list[Picture]) -> dict[Picture, bytes]:
        return self.ledger.answers(kind, list(dict.fromkeys(pictures))) if self.ledger else {}

    def _is_copy(self, picture: Picture) -> bool:
        if hash(picture) in self._paid:
            return True
        if len(self._paid) < MOST_TOLD_APART:
            self._paid.add(hash(picture))
        else:
            self.all_copies = False
        return False
