"""The wheel is the same bytes whoever builds it; a release is of a commit, and what it says."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASE = Path("requirements", "release.py")
KNOWN = subprocess.run(
    ["sh", "-c", "git rev-parse HEAD"], cwd=ROOT, capture_output=True, check=False
)

pytestmark = pytest.mark.skipif(KNOWN.returncode != 0, reason="git knows no commit of this folder")


def run(checkout: Path, *arguments: str, **how: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / RELEASE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **how)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Built by two people whose machines are not set up the same."""
    mine, yours = tmp_path_factory.mktemp("mine"), tmp_path_factory.mktemp("yours")
    elsewhere = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    for folder, how in ((mine, {}), (yours, {"env": elsewhere, "umask": 0o077, "cwd": yours})):
        done = run(ROOT, str(folder), **how)
        assert done.returncode == 0, done.stderr
    (first,), (second,) = mine.glob("*.whl"), yours.glob("*.whl")
    return first, second


def test_two_builds_are_the_same_bytes(wheels: tuple[Path, Path]) -> None:
    first, second = wheels
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_it_has_what_git_has_but_the_hosts_of_the_sandbox(wheels: tuple[Path, Path]) -> None:
    packed = zipfile.ZipFile(wheels[0])
    names = {name for name in packed.namelist() if ".dist-info/" not in name}
    git = ["git", "ls-files", "workers", "console", "sandbox", ":!sandbox/hosts"]
    known = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert names == set(known.split())
    (about,) = (name for name in packed.namelist() if name.endswith("METADATA"))
    metadata = email.message_from_bytes(packed.read(about))
    assert set(metadata.get_all("Provides-Extra", [])) == {"report", "completion"}
    assert any(name.endswith("licenses/LICENSE") for name in packed.namelist())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed, and this release.py."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / RELEASE).write_bytes((ROOT / RELEASE).read_bytes())
    return folder


def commit(folder: Path) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    git = ["git", *who, "commit", "--quiet", "--allow-empty", "--message", "a change"]
    subprocess.run(git, cwd=folder, check=True)


def test_what_is_in_no_commit_is_not_released(clone: Path) -> None:
    commit(clone)
    (clone / "workers" / "new.py").write_text("")
    done = run(clone)
    assert done.returncode == 1
    assert "a release is of a commit" in done.stderr
    assert "workers/new.py" in done.stderr


def test_a_version_without_its_changes_is_not_released(clone: Path) -> None:
    project = clone / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "0.1.0"', 'version = "7.7.7"'))
    commit(clone)
    done = run(clone)
    assert done.returncode == 1
    assert "CHANGELOG.md does not say what is new in 7.7.7" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_release_is_installed_and_tried(clone: Path) -> None:
    commit(clone)
    done = run(clone)
    assert done.returncode == 0, done.stderr
    files = {file.name for file in (clone / "dist").iterdir()}
    assert {"workers.txt", "SHA256SUMS"} < files
    check = ["sha256sum", "--check", "SHA256SUMS"]
    subprocess.run(check, cwd=clone / "dist", check=True, capture_output=True)
    assert "what is yours: git tag v" in done.stdout
