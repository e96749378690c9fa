"""Which Terraform the project's code can be tried with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.terraform import unusable


def installed(folder: Path, said: str) -> Path:
    program = folder / "terraform"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that is on the PATH beside a shell's own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_none_is_said() -> None:
    assert unusable() == "terraform is not installed"


@pytest.mark.parametrize("version", ["1.11.0", "1.12.0-beta1"])
def test_a_new_one_does(folder: Path, version: str) -> None:
    installed(folder, f'{{"terraform_version": "{version}"}}')
    assert unusable() == ""


@pytest.mark.parametrize("version", ["1.9.8", "1.10.5", "0.14.11"])
def test_an_older_one_is_named(folder: Path, version: str) -> None:
    program = installed(folder, f'{{"terraform_version": "{version}"}}')
    assert unusable() == f"{program} is {version}, and 1.11 or newer is needed"


def test_what_is_no_terraform_is_shown(folder: Path) -> None:
    program = installed(folder, "No version is set for command terraform")
    assert unusable() == (
        f"{program} does not say its version: No version is set for command terraform"
    )
