"""Builds what a host installs: the project's wheel and its locked dependencies, as one archive.

    wheelhouse.py '3.11 x86_64' [checkout]

prints {"version": …, "archive": …, "built": …}. The version is named by content: the sources, the
lock file and the system it is for. What is there already is not built again.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "wheelhouse"
PIP_LOCK = ROOT / "ansible" / "pip.txt"
PACKAGES = ("workers", "console")
# both supported systems have glibc 2.34 or newer
MANYLINUX = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")


def main(target: str, checkout: Path = ROOT) -> None:
    """Builds the archive of `target`, a Python version and a machine, and says where it is."""
    project = checkout / "pyproject.toml"
    sources = [project, *(file for package in PACKAGES for file in _sources(checkout / package))]
    locks = [checkout / "requirements" / "workers.txt", PIP_LOCK]
    number = tomllib.loads(project.read_text())["project"]["version"]
    version = f"{number}-{_fingerprint(target, *locks, *sources)}"
    archive = CACHE / f"{version}.tar"
    built = not archive.exists()
    if built:
        locked = CACHE / f"locked-{_fingerprint(target, *locks)}"
        if not locked.exists():
            _whole(locked, lambda folder: _download(folder, locks, *target.split()))
        _whole(archive, lambda unfinished: _pack(unfinished, locked, checkout, sources))
        _keep_newest(4)
    json.dump({"version": version, "archive": str(archive), "built": built}, sys.stdout)


def _sources(package: Path) -> list[Path]:
    """All that the wheel has of a package, its queries and the report's page too."""
    return sorted(
        file for file in package.rglob("*") if file.is_file() and file.suffix not in {".pyc"}
    )


def _fingerprint(target: str, *files: Path) -> str:
    digest = hashlib.sha256(target.encode())
    for file in files:
        digest.update(f"\n{file.parent.name}/{file.name}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _whole(path: Path, make: Callable[[Path], None]) -> None:
    """Makes `path` elsewhere and moves it into place, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        make(Path(folder, path.name))
        Path(folder, path.name).rename(path)


def _keep_newest(count: int) -> None:
    archives = sorted(CACHE.glob("*.tar"), key=lambda file: file.stat().st_mtime)
    for old in archives[:-count]:
        old.unlink()


def _download(folder: Path, locks: list[Path], python: str, machine: str) -> None:
    platforms = [part for tag in MANYLINUX for part in ("--platform", f"{tag}_{machine}")]
    for lock in locks:
        _pip(
            *("download", "--dest", str(folder), "--only-binary=:all:", "--require-hashes"),
            *("--requirement", str(lock), "--python-version", python, "--implementation", "cp"),
            *platforms,
        )


def _pack(archive: Path, locked: Path, checkout: Path, sources: list[Path]) -> None:
    # from a copy: setuptools leaves a build folder, whose old files would come into the next wheel
    with tempfile.TemporaryDirectory() as copy:
        for file in sources:
            target = Path(copy, file.relative_to(checkout))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        # pyproject.toml names it; a change to that page is no new version of the workers
        Path(copy, "README.md").touch()
        wheels = Path(copy, "wheels")
        # with the setuptools that is locked, not with whatever an index has
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), copy)
        with tarfile.open(archive, "w") as tar:
            for wheel in sorted([*locked.iterdir(), *wheels.iterdir()]):
                tar.add(wheel, wheel.name)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"pip {arguments[0]} failed: {done.stderr.strip()}")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
