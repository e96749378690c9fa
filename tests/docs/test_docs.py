"""What the documents say exists, and what they tell a person to type is understood."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from bench import publish
from console import sandbox_commands
from console.command import COMMANDS
from console.sandbox_commands import OUTSIDE
from tests.docs import errors_table, settings_table
from tests.house.doors import assert_leads_somewhere, doors_in
from workers.aws.codes import translated
from workers.aws.meaning import TABLE, Meaning
from workers.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    document
    for folder in ("", "docs", "terraform", "ansible")
    for document in (ROOT / folder).glob("*.md")
)
# made by a run, or on a host
MADE = re.compile(
    r"^(/|~|runs/|demo/|build/|dist/|\.cache|\.venv|RUN/|(terraform/)?(terraform\.tfvars|backend\.tf)$|report\.html|"
    r"results\.jsonl|output\.txt|failed\.jsonl|run\.env|worker\.env|cartext\.env|\d+\.jpg|.*\.pub$|"
    r"labsuser\.pem)"
)
FILE = re.compile(r"^[\w.*/-]+\.(py|md|tf|yml|toml|json|txt|tfvars|example|png|svg|html|hcl)$")


BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def _blocks(document: Path) -> Iterator[tuple[str, str]]:
    """Language and text of the document's blocks of code, those in lists too."""
    for block in BLOCK.finditer(document.read_text(encoding="utf-8")):
        yield block[2], textwrap.dedent(block[3])


def _code(document: Path) -> Iterator[str]:
    """The document's code: every line of a block, every inline piece."""
    for _, block in _blocks(document):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", BLOCK.sub("", document.read_text(encoding="utf-8")))


CODE = [
    pytest.param(document, line.split("  #")[0].strip(), id=f"{document.stem}: {line[:60]}")
    for document in DOCUMENTS
    for line in dict.fromkeys(_code(document))
]


def _commands(program: str) -> list[object]:
    """Every command line that begins with this program, after variables, `sudo` and pipx."""
    found = re.compile(
        rf"(?:^|&& )(?:sudo )?(?:pipx run --spec \S+ )?(?:[A-Z_]+=\S+ )*({program}(?: .*)?)$"
    )
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
    if not words or words[0] in {"COMMAND", "CMD", "--help", "--version", "--completion"}:
        return
    assert words[0] in {*COMMANDS, *OUTSIDE}, line
    for word in words[1:]:
        if word.startswith("--"):
            assert word in _flags(words[0]), line


def _flags(command: str) -> set[str]:
    if command in OUTSIDE:
        return {*sandbox_commands.module(command).command_line()._option_string_actions}
    known = COMMANDS[command].settings.model_fields.items()
    flags = {f"--{str(field.validation_alias or name).replace('_', '-')}" for name, field in known}
    return flags | {"--help"}


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
    car, text = {"name": "Car", "confidence": 95.0}, {"text": "RTY 377", "confidence": 99}
    files = {
        "results": [
            {"index": "5.jpg", "labels": [car], "lines": [text], "failure": None, "known": False},
            {"index": "6.jpg", "labels": [], "lines": [], "failure": "gone: it is", "known": False},
        ],
        "failed": [{"index": "7.jpg", "failure": "empty: it has no bytes"}],
        "near": [{"index": "8.jpg", "near": {**car, "confidence": 87.0}, "below": 90}],
    }
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it found nothing"
    if ".failure |" in line:
        assert [row.split() for row in done.stdout.splitlines()] == [["1", "empty"], ["1", "gone"]]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{document.stem}: {block.splitlines()[0][:60]}")
        for document in DOCUMENTS
        for language, block in _blocks(document)
        if language == "sh"
    ],
)
def test_what_is_to_be_pasted_is_a_whole_script(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    # a document in the middle that does not end is no more than a warning to bash
    assert (done.returncode, done.stderr) == (0, "")


def test_no_address_of_nobodys_is_to_be_pasted() -> None:
    """Those of RFC 5737: they look like one's own, and let nobody in."""
    example = re.compile(r"\b(192\.0\.2|198\.51\.100|203\.0\.113)\.\d")
    terraform = ROOT / "terraform"
    kinds = ("*.tf", "*.example", "profiles/*")
    files = [*DOCUMENTS, *(file for kind in kinds for file in terraform.glob(kind))]
    assert [file.name for file in files if example.search(file.read_text(encoding="utf-8"))] == []


def _files() -> list[object]:
    """Every file that a document names, but for what is made by a run."""
    return [
        parameter
        for parameter in CODE
        if FILE.match(str(parameter.values[1])) and not MADE.match(str(parameter.values[1]))
    ]


@pytest.mark.parametrize(("document", "line"), _files())
def test_files_exist(document: Path, line: str) -> None:
    places = (ROOT, document.parent, *(ROOT / f for f in ("workers", "ansible", "terraform")))
    assert any(list(place.glob(line)) for place in places), f"{document.name} names {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_what_a_document_says_of_a_file_is_in_it(document: Path) -> None:
    for file, name in doors_in(document.read_text(encoding="utf-8")):
        if not FILE.match(name):
            assert_leads_somewhere(document.parent / file, name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links_to_a_part_of_a_page_lead_to_its_heading(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target, part in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", text):
        page = document.parent / target if target else document
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
        anchors = {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
        assert part in anchors, f"{document.name} links to {target}#{part}"


def test_the_settings_table_is_as_the_settings_are() -> None:
    assert settings_table.DOCUMENT.read_text() == settings_table.text(), "run `make docs`"


def test_the_table_of_errors_is_as_the_workers_read_them() -> None:
    assert errors_table.DOCUMENT.read_text() == errors_table.text(), "run `make docs`"


@pytest.mark.parametrize(
    "code",
    [code for row in TABLE for code in row.codes if row.meaning in {Meaning.IMAGE, Meaning.ACCESS}],
)
def test_what_is_said_of_an_image_is_in_the_table_of_errors(code: str) -> None:
    settings = Settings(bucket="photos", queue_url="http://queue.test/1/index")
    error = ClientError({"Error": {"Code": code, "Message": "{text}"}}, "GetObject")
    said = str(translated(error, "{what}", settings, about_image=True)).replace(code, "{code}")
    (row,) = re.findall(rf"^\| [^|]*`{re.escape(code)}`.*", errors_table.text(), re.M)
    assert f"`{said}`" in row


def test_the_tables_of_numbers_are_as_the_bench_measured_them() -> None:
    results = json.loads(publish.RESULTS.read_text())
    text = publish.PAGE.read_text(encoding="utf-8")
    assert "<!-- bench: " in text
    assert publish.page_with(text, results) == text, "run `python -m bench.publish`"
