"""As many open files as the images in flight need, or a line that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console import open_files
from console.open_files import allow_files
from workers.errors import RunError
from workers.settings import Settings

# 3 for each of 280 + 16, and 64 more
SLOTS, NEEDED = 280, 952


@pytest.mark.parametrize(
    ("limits", "raised"), [((256, 4096), True), ((4096, 4096), False), ((256, -1), True)]
)
def test_as_many_as_the_images_in_flight_need(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    raised: bool,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(open_files.resource, "setrlimit", lambda _, new: asked.append(new))
    assert allow_files(make_settings(in_flight=SLOTS)) == NEEDED
    assert asked == ([(NEEDED, limits[1])] if raised else [])


def test_too_few_are_said_before_any_work(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (256, 256))
    said = r"256 open files .* 280 images in flight may need 952; raise .* or lower CARTEXT_"
    with pytest.raises(RunError, match=said):
        allow_files(make_settings(in_flight=SLOTS))
