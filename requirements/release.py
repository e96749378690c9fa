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
DIST = ROOT / "dist"
PACKAGES = ("workers", "console")


def main(arguments: list[str]) -> None:
    """Builds into the folder that is given, or makes the release."""
    if arguments:
        print(build(Path(arguments[0])))
    else:
        release()


def build(folder: Path) -> Path:
    """Builds the wheel of the files that git knows; its times are those of the last commit."""
    with tempfile.TemporaryDirectory() as copy:
        for name in _git(
            "ls-files", "-z", *PACKAGES, "pyproject.toml", "README.md", "LICENSE"
        ).split("\0")[:-1]:
            target = Path(copy, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            # modes are in a wheel, too
            target.chmod(0o644)
        epoch = _git("log", "-1", "--format=%ct").strip()
        _run(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), copy),
            environment={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        )
    (wheel,) = folder.glob("cartext-*.whl")
    return wheel


def release() -> None:
    """Puts the wheel of this commit and its hash into dist/, once it has proved right."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if changed := _git("status", "--porcelain"):
        sys.exit(f"a release is of a commit, and these are in none:\n{changed}commit them first")
    if not re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M):
        sys.exit(f"CHANGELOG.md does not say what is new in {version}")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        wheel, again = build(Path(first)), build(Path(second))
        if wheel.read_bytes() != again.read_bytes():
            sys.exit("built twice, the wheel is not the same: what differs is a time or an order")
        _check_content(wheel)
        _check_installed(wheel, version)
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        shutil.copyfile(wheel, DIST / wheel.name)
    digest = hashlib.sha256((DIST / wheel.name).read_bytes()).hexdigest()
    (DIST / "SHA256SUMS").write_text(f"{digest}  {wheel.name}\n")
    print(f"dist/{wheel.name}\nsha256 {digest}")
    print(f"what is yours: git tag v{version}, and publishing both files of dist/")


def _check_content(wheel: Path) -> None:
    """It has every file of both packages, and nothing else but what is about them."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    known = set(_git("ls-files", "-z", *PACKAGES).split("\0")[:-1])
    if packed != known:
        sys.exit(f"the wheel and git differ in {', '.join(sorted(packed ^ known))}")


def _check_installed(wheel: Path, version: str) -> None:
    """It is installed with the locked packages of a worker alone, and starts."""
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder, "venv")
        _run(str(ROOT / "requirements" / "make-venv"), str(venv))
        pip = (
            str(venv / "bin" / "pip"),
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-deps",
        )
        _run(*pip, "--require-hashes", "--requirement", str(ROOT / "requirements" / "workers.txt"))
        _run(*pip, str(wheel))
        cartext = str(venv / "bin" / "cartext")
        if (said := _run(cartext, "--version", folder=folder).strip()) != f"cartext {version}":
            sys.exit(f"installed, it says {said!r}")
        for command in ("label", "text", "plan"):
            _run(cartext, command, "--help", folder=folder)


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
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
