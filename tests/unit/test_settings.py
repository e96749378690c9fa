"""Where a setting comes from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from console.command import main
from workers.settings import Settings

NEEDED = ["--bucket", "photos", "--queue-url", "http://queue.test/1/index"]


def parsed(*flags: str) -> Settings:
    return Settings(_cli_parse_args=[*NEEDED, *flags])


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert parsed().in_flight is None
    (tmp_path / "cartext.env").write_text("CARTEXT_IN_FLIGHT=5\nCARTEXT_LABEL=Truck\n")
    assert parsed().in_flight == 5
    monkeypatch.setenv("CARTEXT_IN_FLIGHT", "6")
    assert parsed().in_flight == 6
    assert parsed("--in-flight", "7").in_flight == 7
    assert parsed("--in-flight", "7").label == ("Truck",)


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTEXT_PREFIX", "")
    monkeypatch.setenv("CARTEXT_IN_FLIGHT", "")
    assert (parsed().prefix, parsed().in_flight) == ("", None)


@pytest.mark.parametrize(
    ("flags", "slots"),
    [
        (["--quota", "5"], 32),
        (["--quota", "250"], 188),
        (["--quota", "5000"], 256),
        (["--quota", "250", "--in-flight", "3"], 3),
    ],
)
def test_as_many_in_flight_as_the_quota_needs(flags: list[str], slots: int) -> None:
    assert parsed(*flags).slots == slots


def test_the_file_may_say_things_that_are_no_setting(tmp_path: Path) -> None:
    (tmp_path / "cartext.env").write_text("CARTEXT_COLOUR=red\nPATH=/nowhere\n")
    assert parsed().bucket == "photos"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--bucket", "My_Photos"),
        ("--queue-url", "index"),
        ("--run", "a/b"),
        ("--run", ".."),
        ("--in-flight", "0"),
        ("--in-flight", "1001"),
        ("--in-flight", "many"),
        ("--quota", "0"),
        ("--quota", "nan"),
        ("--quota", "inf"),
        ("--quota", "1e-310"),
        ("--run", "ledger.sqlite3"),
        ("--run", "label.lock"),
        ("--run", "run.env"),
        ("--parts-queue-url", "parts"),
        ("--retry-seconds", "0"),
        ("--tries", "0"),
        ("--min-confidence", "101"),
        ("--min-confidence", "nan"),
        ("--text-confidence", "-1"),
        ("--label-source", "disk"),
        ("--text-source", "disk"),
        ("--linger-seconds", "6"),
        ("--poll-seconds", "21"),
        ("--visibility-timeout", "2"),
        ("--visibility-timeout", "43201"),
        ("--foreign-end-seconds", "0"),
        ("--label-sender", "arn:aws:iam::123456789012:role/label"),
        ("--progress-seconds", "0"),
        ("--progress-seconds", "inf"),
        ("--budget-dollars", "inf"),
        ("--log-format", "xml"),
    ],
)
def test_a_wrong_value_is_named_by_its_flag(
    capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert main(["label", *NEEDED, f"{flag}={value}"]) == 78
    said = capsys.readouterr().err
    name = flag.removeprefix("--").replace("-", "_")
    assert said.startswith(f"cartext label: {flag} = {value!r} (")
    assert "CARTEXT_" not in said
    assert len(said.splitlines()) == 1
    assert Settings.model_fields[name].description in said


def test_a_wrong_value_of_the_environment_is_named_as_it_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARTEXT_IN_FLIGHT", "many")
    assert main(["label", *NEEDED]) == 78
    said = capsys.readouterr().err
    assert said.startswith("cartext label: CARTEXT_IN_FLIGHT = 'many' (")
    assert "--in-flight" not in said


def test_a_wrong_value_of_a_flag_by_another_name_is_named_so_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARTEXT_JSON", "maybe")
    assert main(["status"]) == 78
    said = capsys.readouterr().err
    assert said.startswith("cartext status: CARTEXT_JSON = 'maybe' (print JSON; ")


@pytest.mark.parametrize("pattern", ["[A-Z", "[A-Z]{4294967295}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("CARTEXT_TEXT_PATTERN", pattern)
    assert main(["text", *NEEDED]) == 78
    said = capsys.readouterr().err
    assert "no regular expression: " in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("missing", ["bucket", "queue_url"])
def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str], missing: str) -> None:
    flag = "--" + missing.replace("_", "-")
    at = NEEDED.index(flag)
    assert main(["text", *NEEDED[:at], *NEEDED[at + 2 :]]) == 78
    said = capsys.readouterr().err
    assert said == (
        f"cartext text: {missing} is missing; set {flag} or CARTEXT_{missing.upper()}\n"
    )


def test_a_fleet_needs_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    parts = ["--parts-queue-url", "https://sqs.us-east-1.amazonaws.com/1/parts"]
    assert main(["label", *NEEDED, *parts]) == 78
    assert "CARTEXT_LEDGER=dynamodb://TABLE" in capsys.readouterr().err
    assert parsed(*parts, "--ledger", "dynamodb://table").parts_queue_url == parts[1]
    same = NEEDED[NEEDED.index("--queue-url") + 1]
    flags = ["--ledger", "dynamodb://table", "--parts-queue-url", same]
    assert main(["label", *NEEDED, *flags]) == 78
    assert "parts have a queue of their own" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("name", ["CARTEXT_SHARDS", "CARTEXT_QUOTA_WORKERS"])
def test_what_is_gone_is_refused_with_what_there_is_instead(
    name: str,
    where: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)

    def give(value: str) -> None:
        if where == "file":
            Path("cartext.env").write_text(f"{name}={value}\n")
        else:
            monkeypatch.setenv(name, value)

    give("2")
    assert main(["label", *NEEDED]) == 78
    said = capsys.readouterr().err
    assert said.startswith(f"cartext label: {name}=2 is gone: ")
    assert len(said.splitlines()) == 1
    give("1")
    assert parsed().quota == 50, "one of one is what it is"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        parsed().in_flight = 3  # type: ignore[misc]


def test_the_output_of_a_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = parsed("--state-dir", str(tmp_path), "--run", "monday")
    assert settings.run_dir == tmp_path / "monday"


def test_a_file_that_is_no_text_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cartext.env").write_bytes("CARTEXT_PREFIX=bücher/".encode("latin-1"))
    assert main(["label", *NEEDED]) == 78
    said = capsys.readouterr().err
    assert "cartext.env" in said
    assert "UTF-8" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["CARTEXT_CSV", "cartext_output", "CARTEXT_EXPORT"])
def test_the_file_of_a_folder_does_not_say_which_file_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder may be somebody else's, and the file one of this person's."""
    (tmp_path / "cartext.env").write_text(f"{name}={tmp_path / 'precious'}\n")
    assert main(["export"]) == 78
    assert capsys.readouterr().err == (
        f"cartext export: cartext.env may not say which file is written ({name.upper()}): take it "
        "out, and say so by a flag or in the environment\n"
    )


def test_a_file_that_this_user_may_not_read_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cartext.env").write_text("CARTEXT_PREFIX=a\n")
    plain = open

    def refuse(file: Any, *given: Any, **more: Any) -> Any:
        if str(file).endswith("cartext.env"):
            raise PermissionError(13, "Permission denied", str(file))
        return plain(file, *given, **more)

    monkeypatch.setattr("builtins.open", refuse)
    assert main(["label", *NEEDED]) == 78
    said = capsys.readouterr().err
    assert said == (
        "cartext label: cannot read cartext.env (Permission denied); let this user read it, or "
        "start in another folder\n"
    )
