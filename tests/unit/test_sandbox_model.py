"""The label model: kept only when it is the right one, and fetched anew when it is not."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from sandbox.aws.rekognition import model

NAMES = b"???\n" + b"Something\n" * 17 + b"Car\n"
ASSET = NAMES.ljust(184, b"\n") + b"TFL3"
NPM = """#!/bin/sh
test "$1" = --version && exit
echo packed >> "{calls}"
cp "{package}" ./objectron.tgz
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm of our own that packs ASSET, and the file in which it notes each call."""
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        entry = tarfile.TarInfo(f"package/{model.ASSET}")
        entry.size = len(ASSET)
        archive.addfile(entry, io.BytesIO(ASSET))
    calls = tmp_path / "calls"
    calls.touch()
    _put_npm(tmp_path, NPM.format(calls=calls, package=package))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(model, "ASSET_SHA256", hashlib.sha256(ASSET).hexdigest())
    return calls


def _put_npm(folder: Path, script: str) -> None:
    npm = folder / "bin" / "npm"
    npm.parent.mkdir(exist_ok=True)
    npm.write_text(script)
    npm.chmod(0o755)


def _without_npm(folder: Path) -> str:
    """A PATH with what the scripts here use, and no more."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "cp", "mkdir", "rmdir"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return str(tools)


def test_it_is_fetched_once(tmp_path: Path, calls: Path) -> None:
    cache = tmp_path / "cache"
    first, second = model.load(cache), model.load(cache)
    assert first == second
    assert first.names[0] == "???"
    assert first.tflite == b"TFL3"
    assert calls.read_text().count("packed") == 1
    assert [file.name for file in cache.iterdir()] == [model.ASSET]


@pytest.mark.parametrize("broken", [b"", ASSET[:-1], ASSET[:-1] + b"X"])
def test_a_broken_copy_is_replaced(tmp_path: Path, calls: Path, broken: bytes) -> None:
    kept = tmp_path / model.ASSET
    kept.write_bytes(broken)
    assert model.load(tmp_path).tflite == b"TFL3"
    assert kept.read_bytes() == ASSET


def test_another_package_is_refused(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "ASSET_SHA256", "0" * 64)
    with pytest.raises(model.SandboxError, match="another SHA-256"):
        model.load(tmp_path)
    assert not (tmp_path / model.ASSET).exists()


PIP = """#!/bin/sh
echo "$@" >> "{calls}"
for argument; do test "$previous" = --target && target=$argument; previous=$argument; done
mkdir -p "$target/{node}" "$target/{npm}"
rmdir "$target/{node}" "$target/{npm}"
cp "{bin}/npm" "$target/{node}"
"""


@pytest.mark.parametrize("there", ["none", "one of no version"])
def test_without_npm_one_is_installed_for_it(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    pip = tmp_path / "pip"
    fetched = (tmp_path / "bin").rename(tmp_path / "fetched")
    if there != "none":
        _put_npm(tmp_path, "#!/bin/sh\necho 'No version is set for command npm' >&2\nexit 126\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{_without_npm(tmp_path)}")
    names = {"node": model.NODE, "npm": model.NPM, "bin": fetched}
    pip.write_text(PIP.format(calls=calls, **names))
    pip.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(pip))
    assert model.load(tmp_path / "cache").tflite == b"TFL3"
    install, packed = calls.read_text().splitlines()
    assert "--require-hashes" in install
    assert f"--requirement {model.NPM_LOCK} " in install
    assert packed == "packed"


def test_without_npm_and_a_network_it_says_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "echo 'WARNING: Retrying' >&2\necho 'ERROR: No matching distribution found' >&2"
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\n{said}\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(pip))
    monkeypatch.setenv("PATH", _without_npm(tmp_path))
    with pytest.raises(model.SandboxError, match=r"no npm works .* \(ERROR: No matching distrib"):
        model.load(tmp_path)


def test_a_copy_that_cannot_be_kept_is_said(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(model.SandboxError, match=r"cannot keep the label model in .*/file"):
        model.load(tmp_path / "file")


def test_without_a_network_it_says_what_npm_said(tmp_path: Path, calls: Path) -> None:
    offline = "echo 'npm error code ENOTFOUND' >&2\nexit 1\n"
    _put_npm(tmp_path, f'#!/bin/sh\ntest "$1" = --version && exit\n{offline}')
    with pytest.raises(model.SandboxError, match=r"npm error code ENOTFOUND.*network") as caught:
        model.load(tmp_path)
    assert "\n" not in str(caught.value)
