"""One line an event: for a person on a terminal, JSON for everything else."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import structlog
from structlog.typing import EventDict, Processor

from workers.output.escapes import json_line, visible
from workers.settings import Settings


def configure(settings: Settings, role: str) -> None:
    """Sets up the log, on standard error; every line names the run and, in JSON, the worker."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )

    def in_order(_: Any, level: str, event: EventDict) -> EventDict:
        first = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "event": event.pop("event"),
            "run": event.pop("run", settings.run),
            "role": role,
            "worker": settings.worker,
        }
        return {**first, **event}

    processors: list[Processor] = [
        # what a line is about is bound once, where the work on it begins
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
    ]
    if as_json:
        processors += [in_order, lambda _, __, event: json_line(event)]
    else:
        processors += [
            _harmless,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, pad_event_to=12),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(_Unbreakable(sys.stderr)),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


def _harmless(_: Any, __: str, event: EventDict) -> EventDict:
    """Texts of anybody's move no cursor; a trace keeps its lines."""
    return {
        name: visible(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }


class _Unbreakable:
    """A file that may be closed or full: then the work goes on without a log."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except (OSError, ValueError):
            broken, self._file = self._file, Path(os.devnull).open("w")  # noqa: SIM115 - for good
            # what the interpreter flushes at its end must not complain either
            with suppress(OSError, ValueError):
                os.dup2(self._file.fileno(), broken.fileno())

    def flush(self) -> None:
        """Each line has been."""
