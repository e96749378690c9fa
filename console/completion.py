"""What a shell completes after `cartext`: commands, flags, their values and files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic_settings import CliSettingsSource

from console import sandbox_commands
from console.running import fields_of
from workers.errors import RunError
from workers.settings import Settings

SHELLS = ("bash", "zsh", "fish")


def completion(shell: str, commands: Mapping[str, type[Settings]]) -> str:
    """The script that a shell reads, with the sandbox's commands where there is one.

    Raises RunError without shtab, or for another shell.
    """
    try:
        import shtab  # noqa: PLC0415 - the workers do without
    except ModuleNotFoundError as error:
        raise RunError(
            f"completion needs shtab, beside this cartext: pip install shtab ({error})"
        ) from error
    if shell not in SHELLS:
        raise RunError(f"no completion for {shell!r}; there is one for {', '.join(SHELLS)}")
    parser = argparse.ArgumentParser("cartext")
    parser.add_argument("--version", action="store_true", help="the version")
    parser.add_argument("--completion", choices=SHELLS, help="a script for this shell")
    each = parser.add_subparsers()
    for name, kind in commands.items():
        about = (kind.__doc__ or "").partition("\n")[0]
        of_command = each.add_parser(name, help=about)
        CliSettingsSource(kind, root_parser=of_command)
        fields = fields_of(kind)
        for action in of_command._actions:
            if field := fields.get(action.dest):
                wanted, parts = field.annotation, get_args(field.annotation)
                action.choices = parts if get_origin(wanted) is Literal else None
                if Path in (wanted, *parts):
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
    for name in sandbox_commands.OUTSIDE if sandbox_commands.there() else ():
        line = sandbox_commands.module(name).command_line()
        each.add_parser(name, help=line.description, parents=[line], add_help=False)
        for action in line._actions:
            if action.metavar == "FOLDER":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))
