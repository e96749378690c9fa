"""One line an event: for a person on a terminal, JSON for everything else."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

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
        processors += [in_order, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        processors += [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, pad_event_to=12),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
