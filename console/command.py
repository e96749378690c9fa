"""The command line: the workers, and what people ask about a run; every setting a flag."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import structlog
from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict, SettingsError

from console.alone import alone
from console.answers import command as answers
from console.completion import completion
from console.doctor import command as doctor
from console.export import command as export
from console.open_files import allow_files
from console.outside import OUTSIDE
from console.plan import command as plan
from console.report import command as report
from console.services import make_services
from console.status import command as status
from console.tell import telling
from workers import log as worker_log
from workers.alive import Alive
from workers.errors import DO_NOT_START_AGAIN, DONE, START_AGAIN, RunError, WorkerError
from workers.events import STOPPED_BY_BUG, Stopped, say
from workers.label_worker import LabelWorker
from workers.ledger import Ledger, open_ledger
from workers.resend import resend
from workers.settings import GONE, Settings
from workers.text_worker import TextWorker
from workers.threads.stop import Stop

log = structlog.get_logger()

DESCRIPTION = """\
Finds the pictures with cars in an S3 bucket and reads the text on them.

commands:
  label   worker A: lists the bucket, finds the cars, puts their indexes on the queue
  text    worker B: takes the indexes, reads the images, writes output.txt and results.jsonl
  doctor  before a run: whether everything is there, permitted and fitting
  plan    before a run: how many images, how long, how many dollars
  status  in the middle: how far, how fast, what failed
  resend  when messages were lost: sends again what is labelled and has no result
  report  afterwards: one HTML page with every picture, its boxes and its text
  export  and one table for a spreadsheet: a row a picture, or a line of text
  answers what is paid for: how many answers are kept, and carrying them elsewhere

without an AWS account:
  demo         both workers at work on an AWS of this machine: drawn scenes, or your own photos
  sandbox      that AWS by itself, for any AWS client
  rekognition  its Rekognition that looks, for another emulator

  cartext doctor --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
  cartext plan --bucket my-photos
  cartext label --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
  cartext text --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
  cartext status --watch
  cartext report --bucket my-photos
  cartext COMMAND --help     every setting: as a flag, and as CARTEXT_… in the environment
  cartext --version          which one this is
  cartext --completion bash  a script with which bash, zsh or fish completes all this
"""
EPILOG = f"""\
exit status:
  {DONE}   done, or was done already
  {START_AGAIN}  stopped before the end (a signal, an outage); start again to go on
  {DO_NOT_START_AGAIN}  settings, permissions or the disk are wrong; mend them first
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        if command is None:
            return _about_itself(given)
        settings = _settings(given, command.settings)
    except RunError as error:
        print(f"cartext {given[0]}: {error}", file=sys.stderr)  # noqa: T201 - no log without settings
        return DO_NOT_START_AGAIN
    worker_log.configure(settings, given[0])
    # little of what an image leaves is in cycles, and looking for them takes all threads' time
    gc.set_threshold(20_000)
    try:
        command.run(settings)
    except WorkerError as error:
        reason = re.sub(r"CARTEXT_\w+", lambda name: _as_given(name[0], given), str(error))
        if command.for_people:
            print(f"cartext {given[0]}: {reason}", file=sys.stderr)  # noqa: T201 - nobody's log
        else:
            level = "info" if error.exit_status == START_AGAIN else "error"
            say(Stopped(reason, error.exit_status), level)
        return error.exit_status
    except KeyboardInterrupt:
        return START_AGAIN
    except BrokenPipeError:
        # whoever read our output has seen enough; the interpreter's last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE if command.for_people else START_AGAIN
    except Exception:
        log.exception(STOPPED_BY_BUG, status=START_AGAIN)
        return START_AGAIN
    return DONE


def _about_itself(given: list[str]) -> int:
    match given:
        case ["--version"]:
            print(f"cartext {version('cartext')}")  # noqa: T201 - for people
            return DONE
        case ["--completion", shell]:
            settings = {name: each.settings for name, each in COMMANDS.items()}
            print(completion(shell, settings))  # noqa: T201 - for a shell
            return DONE
    parser = argparse.ArgumentParser(
        "cartext",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"cartext {{{','.join([*COMMANDS, *OUTSIDE])}}} [settings]",
        add_help=False,
    )
    wants_help = given[:1] in (["-h"], ["--help"], ["help"])
    parser.print_help(sys.stdout if wants_help else sys.stderr)
    return DONE if wants_help else DO_NOT_START_AGAIN


def _settings(given: list[str], kind: type[Settings]) -> Settings:
    try:
        _refuse_what_is_gone(kind)
        return kind(_cli_parse_args=given[1:], _cli_prog_name=f"cartext {given[0]}")  # type: ignore[call-arg]
    except ValidationError as error:
        problems = (_complaint(problem, kind, given) for problem in error.errors())
        raise RunError("; ".join(problems)) from error
    except UnicodeDecodeError as error:
        raise RunError(
            f"{kind.model_config.get('env_file')} is not UTF-8: {error.reason}"
        ) from error
    except SettingsError as error:
        raise RunError(str(error)) from error
    except SystemExit as error:
        # argparse has said what is wrong with a flag, or has printed the help
        raise SystemExit(DO_NOT_START_AGAIN if error.code else DONE) from error


def _refuse_what_is_gone(kind: type[Settings]) -> None:
    written = {**dotenv_values(str(kind.model_config.get("env_file"))), **os.environ}
    for name, instead in GONE.items():
        # one of one is what it is without
        if written.get(name, "1") not in {"", "1"}:
            raise RunError(f"{name}={written[name]} is gone: {instead}")


def _complaint(problem: object, kind: type[Settings], given: list[str]) -> str:
    assert isinstance(problem, dict)  # noqa: S101 - pydantic's ErrorDetails
    name = ".".join(str(part) for part in problem["loc"])
    if not name:
        return str(problem["msg"])
    variable = f"CARTEXT_{name.upper()}"
    if problem["type"] == "missing":
        return f"{name} is missing; set {_flag(variable)} or {variable}"
    about = kind.model_fields[str(problem["loc"][0])].description
    return f"{_as_given(variable, given)} = {problem['input']!r} ({about}): {problem['msg']}"


def _as_given(variable: str, given: list[str]) -> str:
    """What a person knows a setting by: its flag where that was typed, else its variable."""
    flag = _flag(variable)
    return flag if any(word.partition("=")[0] == flag for word in given) else variable


def _flag(variable: str) -> str:
    return f"--{variable.removeprefix('CARTEXT_').lower().replace('_', '-')}"


class LabelSettings(Settings):
    """Worker A: lists the bucket, finds the cars, puts their indexes on the queue.

    example:
      cartext label --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """


class TextSettings(Settings):
    """Worker B: takes indexes from the queue, reads the images, writes the output.

    example:
      cartext text --bucket my-photos --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """


class ResendSettings(Settings):
    """Sends again what is labelled and has no result: messages may have expired, or been lost.

    It takes the label worker's settings, login and ledger; the text worker deletes what it has
    done, and may refuse what another login sends.

    example:
      cartext resend --run holidays --queue-url https://sqs.us-east-1.amazonaws.com/1/index
    """

    model_config = SettingsConfigDict(env_prefix_target="all")

    bucket: str = Field("", description="not needed here")
    as_json: bool = Field(False, validation_alias="json", description="print JSON")


def _label(settings: Settings) -> None:
    with (
        _work(settings, "label") as (ledger, stop),
        telling(settings, "label", ledger),
        _alive(ledger, "label", stop) as alive,
    ):
        LabelWorker(settings, make_services(settings, ledger, stop, alive), stop).run()


def _text(settings: Settings) -> None:
    with (
        _work(settings, "text") as (ledger, stop),
        telling(settings, "text", ledger),
        _alive(ledger, "text", stop) as alive,
    ):
        TextWorker(settings, make_services(settings, ledger, stop, alive), stop).run()


def _resend(settings: ResendSettings) -> None:
    with _work(settings, "label") as (ledger, stop):
        sent = resend(settings, make_services(settings, ledger, stop), stop)
    text = f"sent again: {sent.indexes:,} indexes, {'and' if sent.end else 'not'} the end"
    told = {"schema": 1, "run": settings.run, **asdict(sent)}
    print(json.dumps(told) if settings.as_json else text)  # noqa: T201 - what the command is for


@dataclass(frozen=True)
class Command:
    """What a command takes and does; one `for_people` says its errors plainly, not in the log."""

    settings: type[Settings]
    run: Callable[[Any], None]
    for_people: bool = True


COMMANDS = {
    "label": Command(LabelSettings, _label, for_people=False),
    "text": Command(TextSettings, _text, for_people=False),
    "doctor": Command(doctor.DoctorSettings, doctor.run),
    "plan": Command(plan.PlanSettings, plan.run),
    "status": Command(status.StatusSettings, status.run),
    "resend": Command(ResendSettings, _resend),
    "report": Command(report.ReportSettings, report.run),
    "export": Command(export.ExportSettings, export.run),
    "answers": Command(answers.AnswersSettings, answers.run),
}


@contextmanager
def _work(settings: Settings, role: str) -> Iterator[tuple[Ledger, Stop]]:
    stop = Stop()
    stop.on_signals()
    allow_files(settings)
    with alone(settings.state_dir, role), closing(open_ledger(settings, stop)) as ledger:
        yield ledger, stop


def _alive(ledger: Ledger, kind: str, stop: Stop) -> AbstractContextManager[Alive | None]:
    """Among the others of a fleet, where there is one."""
    return Alive(ledger.fleet, kind, stop) if ledger.fleet else nullcontext()
