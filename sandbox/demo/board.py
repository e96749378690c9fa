"""What the two workers have said so far in their logs, and how it looks beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workers.events import End, Event, Failed, Known, Labelled, NotLabelled, TextRead, read

NAMES = {"label": "A", "text": "B"}
TITLES = {"label": "A · finds the cars", "text": "B · reads their text"}

# lines of the screen around the rows: frames, progress, and what was said before
AROUND = 8
MOST_ROWS, LEAST_ROWS = 24, 3
LEAST_NAME = 12


@dataclass(frozen=True)
class Verdict:
    """What a worker found in an image; `good` is None when it failed, and `text` is why."""

    index: str
    text: str
    good: bool | None

    @property
    def said(self) -> str:
        """The same in words."""
        return f"failed: {self.text}" if self.good is None else self.text


@dataclass
class Board:
    """The verdicts of both workers on `images` images, in the order in which they came."""

    images: int
    seen: dict[str, Verdict] = field(default_factory=dict)
    read: dict[str, Verdict] = field(default_factory=dict)
    read_meanwhile: int | None = None
    """How many images B had read when A was done with all of them."""
    known: Known = field(default=Known(0, 0))
    """Copies, of which A does not speak one by one."""

    def hear(self, role: str, line: str) -> Verdict | None:
        """Takes in one line of a worker's log; returns the verdict in it, if it is one."""
        event = read(line)
        if role == "label" and isinstance(event, End):
            self.read_meanwhile = len(self.read)
        if isinstance(event, Known):
            images, labelled = event.images, event.labelled
            self.known = Known(self.known.images + images, self.known.labelled + labelled)
        verdict = _verdict(event)
        if verdict:
            self._verdicts(role)[verdict.index] = verdict
        return verdict

    def _verdicts(self, role: str) -> dict[str, Verdict]:
        return self.seen if role == "label" else self.read

    @property
    def cars(self) -> list[str]:
        """Indexes of the images in which A saw a car."""
        return [verdict.index for verdict in self.seen.values() if verdict.good]

    @property
    def to_read(self) -> int:
        """How many images B has to read, as far as A is."""
        return len(self.cars) + self.known.labelled

    def done(self, role: str) -> int:
        """How many images a worker is done with."""
        return len(self._verdicts(role)) + (self.known.images if role == "label" else 0)

    @property
    def failed(self) -> list[Verdict]:
        """Images that one of the workers could not look at."""
        return [v for v in (*self.seen.values(), *self.read.values()) if v.good is None]

    def counts(self, role: str) -> str:
        """How far a worker is, in words."""
        verdicts = list(self._verdicts(role).values())
        failed = sum(verdict.good is None for verdict in verdicts)
        if role == "label":
            of, what = self.images, number_of(self.to_read, "car")
        else:
            of, what = self.to_read, f"{sum(bool(verdict.good) for verdict in verdicts)} with text"
        return f"{self.done(role)} of {of} · {what}" + (f" · {failed} failed" if failed else "")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = min(self.images, MOST_ROWS, max(LEAST_ROWS, console.height - AROUND))
        width = (options.max_width - 1) // 2
        waiting = [Verdict(index, "…", False) for index in self.cars if index not in self.read]
        # what has been read stays in sight, whatever waits
        shown = [*self.read.values(), *waiting[: max(1, height // 2)]]
        sides = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        sides.add_row(
            self._side("label", list(self.seen.values()), self.images, width, height),
            self._side("text", shown, self.to_read, width, height),
        )
        yield sides

    def _side(
        self, role: str, verdicts: list[Verdict], total: int, width: int, height: int
    ) -> RenderableType:
        latest = verdicts[-height:]
        inner = width - 4
        names = _name_width((plain(verdict.index) for verdict in latest), inner // 2)
        rows = Table.grid(padding=(0, 2, 0, 0))
        rows.add_column(no_wrap=True, width=names)
        rows.add_column(no_wrap=True, width=inner - names - 2, overflow="ellipsis")
        for verdict in latest:
            rows.add_row(_tail(plain(verdict.index), names), _styled(verdict))
        for _ in range(height - len(latest)):
            rows.add_row("", "")
        bar = ProgressBar(
            total or 1,
            self.done(role),
            width=inner,
            complete_style="cyan",
            finished_style="green",
        )
        return Panel(
            Group(rows, bar),
            title=Text(TITLES[role], "bold"),
            title_align="left",
            subtitle=Text(self.counts(role)),
            subtitle_align="left",
            box=ROUNDED,
            width=width,
        )


def _verdict(event: Event | None) -> Verdict | None:
    match event:
        case Labelled():
            return Verdict(event.index, f"car {event.confidence:.1f} %", True)
        case NotLabelled():
            return Verdict(event.index, (event.near or "no car").lower(), False)
        case TextRead():
            return Verdict(event.index, event.text or "no text", bool(event.text))
        case Failed():
            return Verdict(event.index, event.reason, None)
    return None


def plain(text: str) -> str:
    """The text without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _styled(verdict: Verdict) -> Text:
    style = {True: "green", False: "dim", None: "red"}[verdict.good]
    return Text(plain(verdict.said), style)


def _name_width(names: Iterable[str], most: int) -> int:
    """What most of them need: a long one takes no room from the others' verdicts."""
    widths = sorted(map(cell_len, names)) or [0]
    usual = widths[(len(widths) - 1) // 2]
    return min(widths[-1], max(usual, LEAST_NAME), most)


def _tail(text: str, width: int) -> Text:
    """The end of a text that is too wide: of a path it says the most."""
    if cell_len(text) <= width:
        return Text(text)
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return Text(f"…{text}")


def number_of(count: int, what: str) -> str:
    """`1 car`, `2 cars`."""
    return f"{count} {what}" + ("" if count == 1 else "s")
