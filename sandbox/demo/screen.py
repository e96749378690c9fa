"""What a person sees of the demo: both workers live, or plain lines where that cannot be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live

from sandbox.demo.board import NAMES, Board, Verdict, plain

FEW_IMAGES = 50
COUNTS_SECONDS = 5.0


class Screen:
    """The terminal; plain wherever a person would not want colours and a moving cursor."""

    def __init__(self) -> None:
        console = Console()
        calm = console.is_dumb_terminal or os.environ.get("NO_COLOR")
        self._live = sys.stdout.isatty() and not calm
        if not self._live:
            console = Console(force_terminal=False, color_system=None)
        self._console = console

    def say(self, text: str = "") -> None:
        """Prints it as it is."""
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def skipped(self, name: str, reason: str) -> None:
        """Says which file is no part of it."""
        self.say(f"Left out {plain(name)}: {reason}.")

    def follow(self, board: Board, verdicts: Iterator[tuple[str, Verdict]]) -> None:
        """Shows the board until there is no verdict any more."""
        if self._live:
            with Live(board, console=self._console, refresh_per_second=12):
                for _ in verdicts:
                    pass
        else:
            self._tell(board, verdicts)
        self.say()

    def _tell(self, board: Board, verdicts: Iterator[tuple[str, Verdict]]) -> None:
        """Says each verdict when there are few images, else counts now and then."""
        began = told = time.monotonic()
        for role, verdict in verdicts:
            now = time.monotonic()
            text = f"{NAMES[role]}  {verdict.index}  {verdict.said}"
            if board.images > FEW_IMAGES:
                if now - told < COUNTS_SECONDS:
                    continue
                told = now
                text = "   ".join(f"{NAMES[each]}  {board.counts(each)}" for each in NAMES)
            self.say(f"{now - began:5.1f} s  {plain(text)}")
