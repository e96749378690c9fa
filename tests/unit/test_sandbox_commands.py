"""`cartext demo`, `sandbox` and `rekognition`: the sandbox's, where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from console.sandbox_commands import OUTSIDE

ROOT = Path(__file__).parents[2]
# with the names of modules that are not there
PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split()))
from console.__main__ import main
sys.exit(main())
"""


def cartext(*arguments: str, lacks: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, lacks, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", OUTSIDE)
def test_they_have_a_help_of_their_own_at_once(name: str) -> None:
    done = cartext(name, "--help", lacks="boto3 pydantic moto")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: cartext {name} [-h] ")


def test_they_get_the_options() -> None:
    done = cartext("demo", "--scenes", "0", lacks="boto3 pydantic moto")
    assert done.returncode == 2
    assert done.stderr.endswith("cartext demo: error: argument --scenes: must be at least 1\n")


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_hosts_wheel_says_that_it_has_none(name: str) -> None:
    done = cartext(name, "--images", "photos", lacks="sandbox")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"cartext {name}: not in this wheel, which is a worker host's")
    assert done.stderr.count("\n") == 1


def test_a_hosts_wheel_can_all_else() -> None:
    assert cartext("plan", "--help", lacks="sandbox").returncode == 0
    script = cartext("--completion", "bash", lacks="sandbox").stdout
    assert "plan" in script
    assert "_demo_" not in script


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_help_names_them(name: str) -> None:
    assert f"\n  {name} " in cartext("--help").stdout
