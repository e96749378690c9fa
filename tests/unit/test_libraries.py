"""The sandbox's libraries: installed once, whole or not at all, and only where they are missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

import sandbox
from sandbox import libraries
from sandbox.errors import SandboxError

ROOT = Path(__file__).parents[2]
HERE = sys.executable
# what is called as `python -Pm venv … FOLDER` and as `python -Pm pip --python FOLDER/bin/python …`
PYTHON = """#!/bin/sh
echo "$@" >>"{folder}/calls"
case "$2" in
venv) for made; do :; done; rm -rf "$made"; mkdir "$made" ;;
pip) {pip} ;;
esac
"""
FILL = 'echo filled >>"${4%/bin/python}/log"'
PROCESS = """
import sys
from pathlib import Path
from sandbox.libraries import installed
sys.executable = sys.argv[1]
installed(Path(sys.argv[2]))
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that only notes its calls, in place of this one; `write` has its pip do more."""
    path = tmp_path / "python"
    write(path)
    monkeypatch.setattr("sys.executable", str(path))
    return path


def write(python: Path, pip: str = FILL) -> None:
    python.write_text(PYTHON.format(folder=python.parent, pip=pip))
    python.chmod(0o755)


def calls(python: Path) -> list[str]:
    log = python.parent / "calls"
    return log.read_text().splitlines() if log.exists() else []


def without(*names: str) -> Any:
    found = importlib.util.find_spec
    return lambda name: None if name in names else found(name)


def test_they_are_installed_by_the_lock_once(tmp_path: Path, python: Path) -> None:
    folder = libraries.installed(tmp_path / "cache")
    assert libraries.installed(tmp_path / "cache") == folder
    venv, pip = calls(python)
    assert venv == f"-Pm venv --without-pip --clear {folder}.new"
    assert pip.startswith(f"-Pm pip --python {folder}.new/bin/python install ")
    assert f"--no-deps --require-hashes --requirement {libraries.LOCK}" in pip
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_another_lock_or_python_has_another_folder(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [libraries.installed(tmp_path)]
    lock = tmp_path / "lock.txt"
    lock.write_bytes(libraries.LOCK.read_bytes() + b"\n")
    with monkeypatch.context() as patch:
        patch.setattr(libraries, "LOCK", lock)
        folders.append(libraries.installed(tmp_path))
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "cpython-399-x86_64-linux-gnu")
    folders.append(libraries.installed(tmp_path))
    assert len(set(folders)) == 3


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: Path) -> list[Any]:
    """With what a process is begun anew, in which a module of the sandbox's is missing."""
    begun: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *how: begun.extend(how))
    monkeypatch.setattr(libraries, "find_spec", without("moto"))
    cache = tmp_path / "cache"
    install = libraries.installed
    monkeypatch.setattr(libraries, "installed", lambda: install(cache))
    monkeypatch.setattr("sys.orig_argv", ["python", "/somewhere/cartext", "demo", "--scenes", "3"])
    monkeypatch.setenv("PYTHONPATH", "/of/a/person")
    return begun


def test_the_same_command_begins_anew_with_them_first_on_its_path(
    anew: list[Any], python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_PROFILE": "mine", "AWS_CONFIG_FILE": None}.items():
        monkeypatch.setitem(sandbox._PERSONS, name, value)
    libraries.provide()
    program, command, environment = anew
    assert [program, *command] == [str(python)] * 2 + [
        "/somewhere/cartext",
        "demo",
        "--scenes",
        "3",
    ]
    first, second = environment["PYTHONPATH"].split(os.pathsep)
    assert first.startswith(f"{libraries.installed()}/lib/python3.")
    assert first.endswith("/site-packages")
    assert second == "/of/a/person"
    assert environment["AWS_PROFILE"] == "mine"
    assert "AWS_CONFIG_FILE" not in environment


def test_what_lacks_one_in_spite_of_that_is_not_begun_again_and_again(
    anew: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries.provide()
    monkeypatch.setenv("PYTHONPATH", anew.pop()["PYTHONPATH"])
    anew.clear()
    with pytest.raises(SandboxError, match="is damaged, it lacks moto: remove it"):
        libraries.provide()
    assert anew == []


def test_where_they_are_nothing_is_installed(
    anew: list[Any], python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda _: object())
    libraries.provide()
    assert (anew, calls(python)) == ([], [])


def test_what_pip_says_is_told_and_nothing_is_left(tmp_path: Path, python: Path) -> None:
    write(python, "echo 'ERROR: No space left on device' >&2; exit 1")
    with pytest.raises(
        SandboxError, match=r"could not .* \(ERROR: No space .* try again"
    ) as caught:
        libraries.installed(tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert [path.suffix for path in (tmp_path / "cache" / "libraries").iterdir()] == [".lock"]
    write(python)
    assert libraries.installed(tmp_path / "cache").is_dir()


def test_where_there_is_no_pip_the_virtual_environment_gets_one(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "find_spec", without("pip"))
    venv, pip = libraries._commands(tmp_path / "new")
    assert venv == [str(python), "-Pm", "venv", "--clear", str(tmp_path / "new")]
    assert pip[:4] == [str(tmp_path / "new/bin/python"), "-Pm", "pip", "install"]


def test_a_python_that_can_make_none_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "find_spec", without("pip", "ensurepip"))
    with pytest.raises(SandboxError, match=r"lacks pip .* apt-get install python3\.\d+-venv"):
        libraries.installed(tmp_path)


def test_a_cache_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match=r"/file/libraries \(Not a directory\).*XDG_CACHE_HOME"):
        libraries.installed(tmp_path / "file")


# --- processes beside each other ---------------------------------------------------------------


@pytest.fixture
def slow(python: Path) -> Path:
    """A Python whose pip goes on at a line in the pipe `go`."""
    write(python, f'read line <"{python.parent}/go"; {FILL}')
    os.mkfifo(python.parent / "go")
    return python


def start(python: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [HERE, "-c", PROCESS, str(python), str(python.parent / "cache")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    return process.stderr.readline()


def whole(python: Path) -> list[str]:
    """What pip has written into each folder that is taken for whole."""
    folders = (python.parent / "cache" / "libraries").iterdir()
    return [(f / "log").read_text() for f in folders if f.suffix not in {".lock", ".new"}]


def test_two_at_once_install_once(slow: Path) -> None:
    with start(slow) as first:
        assert said(first).startswith("installing ")
        with start(slow) as second:
            assert said(second).endswith("waiting for its end\n")
            (slow.parent / "go").write_text("\n")
    assert (first.returncode, second.returncode) == (0, 0)
    assert whole(slow) == ["filled\n"]
    assert len(calls(slow)) == 2


def test_what_was_killed_in_the_middle_is_made_anew_when_it_no_longer_writes(slow: Path) -> None:
    with start(slow) as killed, listening(slow) as go:
        killed.kill()
        killed.wait()
        with start(slow) as second:
            assert said(second).endswith("waiting for its end\n")
            assert whole(slow) == []
            # its pip has outlived it
            go.write("\n")
            go.close()
            assert said(second).startswith("installing ")
            assert whole(slow) == []
            (slow.parent / "go").write_text("\n")
    assert second.returncode == 0
    assert whole(slow) == ["filled\n"]
    assert len(calls(slow)) == 4


def listening(python: Path) -> IO[str]:
    """The pipe to a pip, as soon as that listens."""
    return (python.parent / "go").open("w")
