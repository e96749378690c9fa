"""`cartext --completion`: scripts that shells really complete with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from console import command as cli

ROOT = Path(__file__).parents[2]

# what bash does at a tabulator
BASH = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$(complete -p cartext | grep -o -- '-F [^ ]*' | cut -d ' ' -f 2)
printf '%s\\n' "${COMPREPLY[@]}"
"""
LINES = [
    (["ex"], {"export"}),
    (["export", "--onl"], {"--only"}),
    (["export", "--only", "ne"], {"near", "new"}),
    (["label", "--log-format", ""], {"auto", "json", "text"}),
    (["status", "--wat"], {"--watch"}),
    (["answers", "--impor"], {"--import"}),
    (["plan", "--keys", "LICEN"], {"LICENSE"}),
    (["de"], {"demo"}),
    (["demo", "--sc"], {"--scenes"}),
    (["demo", "--images", "workers/threa"], {"workers/threads"}),
    (["demo", "--images", "LICEN"], {""}),
    (["--completion", "f"], {"fish"}),
]


@pytest.fixture
def script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Path:
    """The script of a shell, which is skipped where that is not installed."""
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    assert cli.main(["--completion", shell]) == 0
    path = tmp_path / f"cartext.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def _lines(*command: str) -> set[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return {line.partition("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(("words", "completed"), LINES)
def test_bash_completes(script: Path, words: list[str], completed: set[str]) -> None:
    assert _lines("bash", "-c", BASH, "bash", str(script), "cartext", *words) == completed


@pytest.mark.parametrize("script", ["fish"], indirect=True)
@pytest.mark.parametrize(("words", "completed"), LINES)
def test_fish_completes(script: Path, words: list[str], completed: set[str]) -> None:
    line = " ".join(["cartext", *words])
    assert completed <= _lines("fish", "-c", f"source {script}; complete -C '{line}'")


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_reads_it(script: Path) -> None:
    assert _lines("zsh", "-n", str(script)) == set()
    assert script.read_text().startswith("#compdef cartext\n")


def test_every_flag_of_every_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--completion", "fish"]) == 0
    script = capsys.readouterr().out.splitlines()
    for name, command in cli.COMMANDS.items():
        lines = " ".join(line for line in script if f"_shtab_cartext_using {name}'" in line)
        for field, info in command.settings.model_fields.items():
            flag = str(info.validation_alias or field).replace("_", "-")
            assert f" -l {flag} " in lines, f"{name} --{flag}"


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--completion", "tcsh"]) == 78
    said = "cartext --completion: no completion for 'tcsh'; there is one for bash, zsh, fish\n"
    assert capsys.readouterr().err == said


def test_without_its_library_it_says_what_to_install_and_all_else_works() -> None:
    code = "import sys; sys.modules['shtab'] = None; from console.command import main; "
    code += "sys.exit(main(['--help']) or main(['--completion', 'bash']))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "pip install shtab" in done.stderr
    assert done.stderr.count("\n") == 1
