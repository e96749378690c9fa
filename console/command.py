"""The command line: the workers, and what people ask about a run; every setting a flag."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from console.sandbox_commands import OUTSIDE
from workers.errors import DO_NOT_START_AGAIN, DONE, START_AGAIN, RunError
from workers.output.escapes import harmless

if TYPE_CHECKING:
    from workers.settings import Settings

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
  runs    which runs a ledger has; letting go of an old one, for room

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
        from console.running import run  # noqa: PLC0415 - who asks for help waits for none of it

        return run(given, command.settings, command.run, command.for_people)
    except RunError as error:
        print(harmless(f"cartext {given[0]}: {error}"), file=sys.stderr)  # noqa: T201 - no log without settings
        return DO_NOT_START_AGAIN


def _about_itself(given: list[str]) -> int:
    match given:
        case ["--version"]:
            from importlib.metadata import version  # noqa: PLC0415 - who asks for help does not wait for it

            print(f"cartext {version('cartext')}")  # noqa: T201 - for people
            return DONE
        case ["--completion", shell]:
            from console.completion import completion  # noqa: PLC0415 - nor for this

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


@dataclass(frozen=True)
class Command:
    """What a command takes and does, in a module that is loaded when it is wanted.

    One `for_people` says its errors plainly, not in the log.
    """

    module: str
    for_people: bool = True

    @property
    def settings(self) -> type[Settings]:
        """What it takes."""
        kind: type[Settings] = import_module(self.module).SETTINGS
        return kind

    def run(self, settings: Any) -> None:
        """Does it; raises WorkerError when that ends before it is done."""
        import_module(self.module).run(settings)


# a worker does not wait for what the others need
COMMANDS = {
    "label": Command("console.label", for_people=False),
    "text": Command("console.text", for_people=False),
    "doctor": Command("console.doctor.command"),
    "plan": Command("console.plan.command"),
    "status": Command("console.status.command"),
    "resend": Command("console.resend"),
    "report": Command("console.report.command"),
    "export": Command("console.export.command"),
    "answers": Command("console.answers.command"),
    "runs": Command("console.runs"),
}
