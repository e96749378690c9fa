"""The label model of the sandbox: fetched once from npm, checked, and kept in `.cache/`.

It is the SSD MobileNet v2 for Open Images classes (Apache-2.0) that `@mediapipe/objectron` carries
among its packed assets. Nothing of it is part of this repository.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox import CACHE
from sandbox.errors import SandboxError

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
ASSET = "objectron_solution_packed_assets.data"
ASSET_SHA256 = "470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e"
# the asset is files laid end to end; the loader .js beside it says where each one begins
LABEL_MAP = slice(0, 184)
TFLITE = slice(184, 9_987_912)

FETCH_SECONDS = 300


@dataclass(frozen=True)
class Model:
    """A TFLite file and the names of its classes, in the order of its outputs."""

    names: tuple[str, ...]
    tflite: bytes


def load(cache: Path = CACHE) -> Model:
    """Returns the model, from `cache` if a sound copy lies there, else from npm.

    Raises SandboxError when it must be fetched and cannot be.
    """
    kept = cache / ASSET
    asset = kept.read_bytes() if kept.is_file() else b""
    if not _is_sound(asset):
        asset = _fetch()
        _keep(asset, kept)
    return Model(tuple(asset[LABEL_MAP].decode().splitlines()), asset[TFLITE])


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory(prefix="cartext-model-") as folder:
        _npm_pack(Path(folder))
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as package:
            member = package.extractfile(f"package/{ASSET}")
            asset = member.read() if member else b""
    if not _is_sound(asset):
        raise SandboxError(f"{PACKAGE} from npm is not what it was: {ASSET} has another SHA-256")
    return asset


def _npm_pack(folder: Path) -> None:
    command = ["npm", "pack", "--loglevel=error", "--fetch-retries=1", "--ignore-scripts", PACKAGE]
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except FileNotFoundError:
        raise SandboxError(
            "npm is not installed, and the sandbox fetches its label model with it: "
            "install Node.js (https://nodejs.org) and try again"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SandboxError(
            f"npm could not fetch the label model {PACKAGE} ({_reason(error)}): "
            "check the network and npm's registry setting, and try again"
        ) from error


def _reason(error: subprocess.CalledProcessError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {FETCH_SECONDS} seconds"
    lines = [line for line in error.stderr.splitlines() if line.strip()]
    return lines[0].strip() if lines else f"exit status {error.returncode}"


def _keep(asset: bytes, kept: Path) -> None:
    # a name of its own, so that a second process beside this one disturbs nothing
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=kept.parent, prefix=f".{ASSET}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(asset)
        Path(name).replace(kept)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_sound(asset: bytes) -> bool:
    return hashlib.sha256(asset).hexdigest() == ASSET_SHA256
