"""What `make` does before anything of ours runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.fetching import INSTALL

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
# what the scripts themselves use
TOOLS = ("sh", "dirname", "id", "sed", "uname")
NAMES = ("a b", "cash $5", "$HOME", "it's", '"q"', "`x`", "$(y)", "~/z")


@pytest.mark.parametrize("target", ["demo", "sandbox", "hosts"])
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_handed_on_as_it_was_typed(target: str, name: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target, f"IMAGES={name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = shlex.split(done.stdout.splitlines()[-1])
    assert words[words.index("--images") + 1 :] == [name]


def machine(folder: Path, programs: dict[str, str]) -> dict[str, str]:
    """The environment of a machine that has nothing but these programs, each a script."""
    for name, script in programs.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    for tool in {*TOOLS} - {*programs}:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return {"PATH": str(folder)}


# a Python is asked for its version, whether that will do, and for the modules
OLD = "case $2 in *print*) echo 3.9 ;; *exit*) exit 1 ;; esac"
TOO_NEW = "case $2 in *print*) echo 3.15 ;; *exit*) exit 1 ;; esac"
BARE = "case $2 in *print*) echo 3.11 ;; *venv*) exit 1 ;; esac"
NEW = "case $2 in *print*) echo 3.12 ;; esac"


def needs(environment: dict[str, str], *programs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REQUIREMENTS / "needs", *programs],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    done = needs(machine(tmp_path, {"python3": OLD}), "no-such-program", "ssh-no-such")
    assert done.returncode == 1
    first, python, program, ssh, last = done.stderr.splitlines()
    assert first == "This machine lacks:"
    assert python.startswith("  Python 3.11 to 3.14, and python3 is 3.9 (")
    assert program == "  no-such-program (Debian, Ubuntu: apt-get install no-such-program)"
    assert ssh.endswith("apt-get install openssh-client)")
    assert last == "Nothing has been made yet."


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    done = needs(machine(tmp_path, {"python3": BARE}))
    assert done.returncode == 1
    assert "venv module of python3 (Debian, Ubuntu: apt-get install python3.11-venv)" in done.stderr


@pytest.mark.parametrize(
    ("platform", "ldd", "said"),
    [
        ("Darwin x86_64", "exit 127", "for Darwin x86_64 there are no packages"),
        ("Linux armv7l", "echo 'ldd (GNU libc) 2.41'", "for Linux armv7l there are no packages"),
        ("Linux x86_64", "echo 'musl libc (x86_64)' >&2; exit 1", "for musl (Alpine) there are no"),
        ("Linux aarch64", "echo 'ldd (GNU libc) 2.41'", ""),
        ("Darwin arm64", "exit 127", ""),
    ],
)
def test_a_machine_that_no_package_is_built_for_is_named(
    tmp_path: Path, platform: str, ldd: str, said: str
) -> None:
    programs = {"python3": NEW, "uname": f"echo {platform}", "ldd": ldd}
    done = needs(machine(tmp_path, programs))
    assert (done.returncode == 1) is bool(said)
    assert said in done.stderr
    assert not said or len(done.stderr.splitlines()) == 3


# a real one that takes itself for another version
AS_VERSION = 'exec {python} -c "import sys; sys.version_info = ({version}, 1); $2"'


@pytest.mark.parametrize(
    ("version", "fits"),
    [("3, 10", False), ("3, 11", True), ("3, 14", True), ("3, 15", False), ("4, 0", False)],
)
def test_the_pythons_that_the_locks_are_for(tmp_path: Path, version: str, fits: bool) -> None:
    script = AS_VERSION.format(python=shlex.quote(sys.executable), version=version)
    done = needs(machine(tmp_path, {"python3": script}))
    assert ("Python 3.11 to 3.14, and python3 is " in done.stderr) is not fits


@pytest.mark.parametrize("first", [OLD, TOO_NEW])
def test_a_fitting_python_beside_another_one_is_found(tmp_path: Path, first: str) -> None:
    both = machine(tmp_path, {"python3": first, "python3.12": NEW})
    assert needs(both).returncode == 0
    python = subprocess.run(
        [REQUIREMENTS / "python"], env=both, capture_output=True, text=True, check=True
    )
    assert python.stdout == "python3.12\n"


@pytest.mark.parametrize(("error", "shown"), [("KeyboardInterrupt", False), ("OSError", True)])
def test_ctrl_c_while_it_installs_leaves_no_traceback(
    tmp_path: Path, error: str, shown: bool
) -> None:
    (tmp_path / "installer.py").write_text(f"raise {error}")
    done = subprocess.run(
        [sys.executable, REQUIREMENTS / "quietly.py", "installer"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert ("Traceback" in done.stderr) is shown


# an install that goes on when a line is in the pipe `go`
SLOW = """\
.venv/sandbox: requirements/workers.txt
	echo installing
	read line < go
	echo once >> installed
	mkdir -p .venv/bin && ln -s /bin/echo .venv/bin/python
	touch $@
"""


def test_what_is_for_another_python_is_kept_from_ours(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(REQUIREMENTS, tmp_path / "requirements")
    (tmp_path / "requirements/install.mk").write_text(".venv/sandbox:\n")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nenv\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "sandbox"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "/of/a/robot", "PYTHONHOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "PATH=" in done.stdout
    assert not re.search("^PYTHON(PATH|HOME)=", done.stdout, re.MULTILINE)


def test_pip_installs_here_though_a_person_has_it_install_into_the_home(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").touch()
    made = ["make", "--dry-run", "--always-make", "--file", "requirements/install.mk"]
    said = subprocess.run(
        [*made, ".venv/sandbox"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = [shlex.split(line) for line in said.stdout.splitlines() if " pip install " in line]
    flags = {tuple(line[line.index("install") : line.index("--no-deps")]) for line in ours}
    for command in (INSTALL, *((*each, "--requirement") for each in flags)):
        done = subprocess.run(
            [sys.executable, "-m", "pip", *command, tmp_path / "lock.txt"],
            env={**os.environ, "PIP_USER": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_two_that_install_at_once_install_once(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(REQUIREMENTS, tmp_path / "requirements")
    (tmp_path / "requirements/install.mk").write_text(SLOW)
    os.mkfifo(tmp_path / "go")

    def make() -> subprocess.Popen[str]:
        return subprocess.Popen(
            # itself run by make it would say which folder it enters
            ["make", "--no-print-directory", "sandbox"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout
        return process.stdout.readline()

    # open for both, so that no make is waited for that has failed
    with (tmp_path / "go").open("r+b", buffering=0) as go, make() as first, make() as second:
        said = {line(first), line(second)}
        go.write(b"\n\n")
        first.communicate()
        second.communicate()
    assert said == {"installing\n", "another make is installing into .venv: waiting for its end\n"}
    assert (first.returncode, second.returncode) == (0, 0)
    assert (tmp_path / "installed").read_text() == "once\n"
