"""What the documents say exists, and what they tell a person to type is understood."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import publish
from console.command import COMMANDS
from tests.docs import errors_table, settings_table

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("terraform/*.md")])
# made by a run, or on a host
MADE = re.compile(
    r"^(/|~|runs/|demo/|build/|\.cache|\.venv|RUN/|terraform\.tfvars$|backend\.tf$|report\.html|"
    r"results\.jsonl|output\.txt|failed\.jsonl|run\.env|worker\.env|cartext\.env|\d+\.jpg|.*\.pub$|"
    r"labsuser\.pem)"
)
FILE = re.compile(r"^[\w.*/-]+\.(py|md|tf|yml|toml|json|txt|tfvars|example|png|svg|html|hcl)$")


def _code(document: Path) -> Iterator[str]:
    """The document's code: every line of a block, every inline piece."""
    text = document.read_text(encoding="utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


CODE = [
    pytest.param(document, line.split("  #")[0].strip(), id=f"{document.stem}: {line[:60]}")
    for document in DOCUMENTS
    for line in dict.fromkeys(_code(document))
]


def _commands(program: str) -> list[object]:
    """Every command line that begins with this program, after variables and `sudo`."""
    found = re.compile(rf"(?:^|&& )(?:sudo )?(?:[A-Z_]+=\S+ )*({program}(?: .*)?)$")
    return [
        pytest.param(parameter.values[0], match[1], id=str(parameter.id))
        for parameter in CODE
        if (match := found.search(str(parameter.values[1])))
    ]


@pytest.mark.parametrize(("document", "line"), _commands("make"))
def test_make_targets_exist(document: Path, line: str) -> None:
    for target in line.split()[1:2]:
        makefile = (ROOT / "Makefile").read_text()
        assert re.search(rf"^([\w-]+ )*{target}( [\w-]+)*:", makefile, re.MULTILINE), line


@pytest.mark.parametrize(("document", "line"), _commands("cartext"))
def test_commands_and_flags_are_understood(
    document: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in shlex.split(line) if word not in {"&", "…"}][1:]
    if not words or words[0] in {"COMMAND", "CMD"}:
        return
    known = COMMANDS[words[0]].settings.model_fields
    flags = {f"--{(field.alias or name).replace('_', '-')}" for name, field in known.items()}
    for word in words[1:]:
        if word.startswith("--"):
            assert word in flags | {"--help", "--json"}, line


@pytest.mark.parametrize(("document", "line"), _commands("ansible-playbook"))
def test_playbooks_exist(document: Path, line: str) -> None:
    playbook = line.split()[1]
    assert (ROOT / "ansible" / playbook).is_file(), line


@pytest.mark.parametrize(("document", "line"), _commands("terraform"))
def test_terraform_lines_name_real_files_variables_and_outputs(document: Path, line: str) -> None:
    for variable in re.findall(r"-var[ =]'?(\w+)=", line):
        assert f'variable "{variable}"' in (ROOT / "terraform/variables.tf").read_text()
    for profile in re.findall(r"-var-file=(\S+)", line):
        assert (ROOT / "terraform" / profile).is_file()
    for output in re.findall(r" output (?:-\w+ )*(\w+)", line):
        assert f'output "{output}"' in (ROOT / "terraform/outputs.tf").read_text()


@pytest.mark.parametrize(("document", "line"), _commands(r"jq"))
def test_jq_programs_run(document: Path, line: str, tmp_path: Path) -> None:
    if subprocess.run(["sh", "-c", "command -v jq"], check=False, capture_output=True).returncode:
        pytest.skip("jq is not installed")
    row = {"index": "5.jpg", "confidence": 95.0, "lines": [{"text": "RTY 377", "confidence": 99}]}
    rows = [{**row, "failure": None}, {"index": "6.jpg", "lines": [], "failure": "gone: it is"}]
    (tmp_path / "results.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it found nothing"


@pytest.mark.parametrize(("document", "line"), CODE)
def test_files_exist(document: Path, line: str) -> None:
    if not FILE.match(line) or MADE.match(line):
        return
    places = (ROOT, document.parent, *(ROOT / f for f in ("workers", "ansible", "terraform")))
    assert any(list(place.glob(line)) for place in places), f"{document.name} names {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_settings_table_is_as_the_settings_are() -> None:
    assert settings_table.DOCUMENT.read_text() == settings_table.text(), "run `make docs`"


def test_the_table_of_errors_is_as_the_workers_read_them() -> None:
    assert errors_table.DOCUMENT.read_text() == errors_table.text(), "run `make docs`"


@pytest.mark.parametrize("page", publish.PAGES, ids=lambda page: page.stem)
def test_the_tables_of_numbers_are_as_the_bench_measured_them(page: Path) -> None:
    results = json.loads(publish.RESULTS.read_text())
    text = page.read_text(encoding="utf-8")
    assert "<!-- bench: " in text
    assert publish.page_with(text, results) == text, "run `python -m bench.publish`"
