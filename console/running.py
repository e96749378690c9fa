"""One command, from the words that were typed to the exit status."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import structlog
from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from workers import log as worker_log
from workers.errors import DO_NOT_START_AGAIN, DONE, START_AGAIN, RunError, WorkerError
from workers.events import STOPPED_BY_BUG, Stopped, say
from workers.output.escapes import harmless
from workers.output.files import NO_ROOM, advice
from workers.settings import GONE, Settings

log = structlog.get_logger()

# which file is written no folder may say that somebody else has filled
WRITTEN = ("CARTEXT_CSV", "CARTEXT_EXPORT", "CARTEXT_OUTPUT")


def run(
    given: list[str], kind: type[Settings], work: Callable[[Any], None], for_people: bool
) -> int:
    """Does the work with the settings that were given; returns the exit status.

    Raises RunError where they are wrong.
    """
    settings = _settings(given, kind)
    worker_log.configure(settings, given[0])
    # what there is by now stays, which is a tenth of a start to look through; and little of what an
    # image leaves is in cycles: looking for them takes all threads' time
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()
    try:
        _do(work, settings)
    except WorkerError as error:
        reason = re.sub(r"CARTEXT_\w+", lambda name: _as_given(name[0], given), str(error))
        if for_people:
            print(harmless(f"cartext {given[0]}: {reason}"), file=sys.stderr)  # noqa: T201 - nobody's log
        else:
            level = "info" if error.exit_status == START_AGAIN else "error"
            say(Stopped(reason, error.exit_status), level)
        return error.exit_status
    except KeyboardInterrupt:
        return START_AGAIN
    except BrokenPipeError:
        # whoever read our output has seen enough
        _print_no_more()
        return DONE if for_people else START_AGAIN
    except Exception:
        log.exception(STOPPED_BY_BUG, status=START_AGAIN)
        return START_AGAIN
    return DONE


def _do(work: Callable[[Any], None], settings: Settings) -> None:
    """Does the work, and has it printed; RunError where there is no room for that."""
    try:
        work(settings)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _print_no_more()
        raise RunError(f"cannot write its output ({error.strerror}); {advice(error)}") from error


def _print_no_more() -> None:
    # the interpreter's last flush must not complain
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings(given: list[str], kind: type[Settings]) -> Settings:
    path = str(kind.model_config.get("env_file"))
    try:
        _refuse(path)
        return kind(_cli_parse_args=given[1:], _cli_prog_name=f"cartext {given[0]}")  # type: ignore[call-arg]
    except ValidationError as error:
        problems = (_complaint(problem, kind, given) for problem in error.errors())
        raise RunError("; ".join(problems)) from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise RunError(
            f"cannot read {path} ({error.strerror}); let this user read it, or start in another "
            "folder"
        ) from error
    except SettingsError as error:
        raise RunError(str(error)) from error
    except SystemExit as error:
        # argparse has said what is wrong with a flag, or has printed the help
        raise SystemExit(DO_NOT_START_AGAIN if error.code else DONE) from error


def _refuse(path: str) -> None:
    """Raises RunError where a setting is gone, or stands in this file though it may not."""
    in_file = {name.upper(): value for name, value in dotenv_values(path).items()}
    if refused := [name for name in WRITTEN if name in in_file]:
        raise RunError(
            f"{path} may not say which file is written ({', '.join(refused)}): take it out, and "
            "say so by a flag or in the environment"
        )
    written = {**in_file, **os.environ}
    for name, instead in GONE.items():
        # one of one is what it is without
        if written.get(name, "1") not in {"", "1"}:
            raise RunError(f"{name}={written[name]} is gone: {instead}")


def _complaint(problem: ErrorDetails, kind: type[Settings], given: list[str]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if not name:
        return problem["msg"]
    variable = f"CARTEXT_{name.upper()}"
    if problem["type"] == "missing":
        return f"{name} is missing; set {_flag(variable)} or {variable}"
    about = fields_of(kind)[str(problem["loc"][0])].description
    return f"{_as_given(variable, given)} = {problem['input']!r} ({about}): {problem['msg']}"


def fields_of(kind: type[Settings]) -> dict[str, FieldInfo]:
    """The settings by the names that a person gives them."""
    return {str(field.validation_alias or name): field for name, field in kind.model_fields.items()}


def _as_given(variable: str, given: list[str]) -> str:
    """What a person knows a setting by: its flag where that was typed, else its variable."""
    flag = _flag(variable)
    return flag if any(word.partition("=")[0] == flag for word in given) else variable


def _flag(variable: str) -> str:
    return f"--{variable.removeprefix('CARTEXT_').lower().replace('_', '-')}"
