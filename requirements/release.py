"""Builds the project's wheel so that everybody gets the same bytes, and checks it.

    release.py FOLDER   the wheel of the files as they are, into FOLDER
    release.py          the same of a commit, twice, compared, installed and tried; into dist/

Nothing is published: that is a person's.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
DIST = ROOT / "dist"
LOCK = "workers.txt"
# the hosts of the sandbox are made by Terraform and Ansible, out of a checkout
SOURCES = ("workers", "console", "sandbox", ":!sandbox/hosts")
PIP = ("-m", "pip", "--disable-pip-version-check")


def main(arguments: list[str]) -> None:
    """Builds into the folder that is given, or makes the release."""
    if arguments:
        print(build(Path(arguments[0])))
    else:
        release()


def build(folder: Path) -> Path:
    """Builds the wheel of the files that git knows; its times are those of the last commit."""
    with tempfile.TemporaryDirectory() as copy:
        for name in [*_sources(), "pyproject.toml", "README.md", "LICENSE"]:
            target = Path(copy, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            # modes are in a wheel, too
            target.chmod(0o644)
        epoch = _git("log", "-1", "--format=%ct").strip()
        _run(
            *(sys.executable, *PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", str(folder), copy),
            environment={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        )
    (wheel,) = folder.glob("cartext-*.whl")
    return wheel


def release() -> None:
    """Puts the wheel of this commit into dist/, once it has proved right, with what it needs."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if changed := _git("status", "--porcelain"):
        sys.exit(f"a release is of a commit, and these are in none:\n{changed}commit them first")
    if not re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M):
        sys.exit(f"CHANGELOG.md does not say what is new in {version}")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        wheel, again = build(Path(first)), build(Path(second))
        if wheel.read_bytes() != again.read_bytes():
            sys.exit("built twice, the wheel is not the same: what differs is a time or an order")
        packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        if differing := packed ^ set(_sources()):
            sys.exit(f"the wheel and git differ in {', '.join(sorted(differing))}")
        _write_lock(wheel)
        _try(wheel, version)
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(wheel.parent, DIST)
    files = sorted(DIST.iterdir())
    sums = "".join(f"{_sha256(file)}  {file.name}\n" for file in files)
    (DIST / "SHA256SUMS").write_text(sums)
    print(f"in dist/:\n{sums}what is yours: git tag v{version}, and publishing all of dist/")


def _write_lock(wheel: Path) -> None:
    """All that the workers need, by hash: the packages of the lock file, and the wheel."""
    locked = (REQUIREMENTS / LOCK).read_text()
    own = f"./{wheel.name} \\\n    --hash=sha256:{_sha256(wheel)}\n"
    wheel.with_name(LOCK).write_text(locked + own)


def _try(wheel: Path, version: str) -> None:
    """Installs it as others do, away from the checkout: the workers start, the demo is right."""
    with tempfile.TemporaryDirectory() as away:
        programs = Path(away, "venv", "bin")
        _run(str(REQUIREMENTS / "make-venv"), str(programs.parent))
        install = ("install", "--quiet", "--no-deps", "--require-hashes", "--requirement", LOCK)
        _run(str(programs / "python"), *PIP, *install, folder=str(wheel.parent))
        said = _run(str(programs / "cartext"), "--version", folder=away).strip()
        if said != f"cartext {version}":
            sys.exit(f"installed, it says {said!r}")
        _run(str(programs / "cartext"), "label", "--help", folder=away)
        nothing_there = {"PIPX_HOME": f"{away}/pipx", "XDG_CACHE_HOME": f"{away}/cache"}
        _run(
            *(sys.executable, "-m", "pipx", "run", "--spec", str(wheel), "cartext", "demo"),
            folder=away,
            environment=os.environ | nothing_there,
        )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _sources() -> list[str]:
    return _git("ls-files", "-z", *SOURCES).split("\0")[:-1]


def _git(*arguments: str) -> str:
    return _run("git", *arguments, folder=str(ROOT))


def _run(
    *command: str, folder: str | None = None, environment: dict[str, str] | None = None
) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
