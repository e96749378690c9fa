"""The thumbnails."""

from __future__ import annotations

import base64
import io
import struct
import threading
from itertools import count, islice

import pytest
from PIL import Image, ImageOps

from console.report import thumbnails
from console.report.thumbnails import MISSING, UNREADABLE, map_in_order, thumbnail, upright
from sandbox.aws.rekognition.eyes.pixels import decode
from tests.report.conftest import picture


def small(data: bytes | None) -> str:
    return thumbnail(data, 320)


def decoded(entry: str) -> Image.Image:
    width, height, data = entry.split(" ")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert opened.size == (int(width), int(height))
    return opened


def test_a_thumbnail_is_small_and_not_made_larger() -> None:
    assert decoded(small(picture((4000, 1000)))).size == (320, 80)
    assert decoded(small(picture((100, 90), "PNG"))).size == (100, 90)


def test_a_jpeg_is_turned_by_its_exif_and_a_png_is_not() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decoded(small(picture((640, 320), exif=exif))).size == (160, 320)
    assert decoded(small(picture((640, 320), "PNG", exif=exif))).size == (320, 160)
    assert not decoded(small(picture((640, 320), exif=exif))).getexif()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "RGBA"), ("PNG", "LA"), ("GIF", "P")],
)
def test_every_kind_of_colour_becomes_a_thumbnail(kind: str, mode: str) -> None:
    assert decoded(small(picture(kind=kind, mode=mode))).mode == "RGB"


@pytest.mark.parametrize(("how", "alone"), [({}, False), ({"progressive": True}, True)])
def test_a_large_jpeg_that_is_read_whole_is_made_small_alone(
    how: dict[str, bool], alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "MANY_PIXELS", 100)
    made = threading.Thread(target=small, args=[picture((640, 320), **how)])
    with thumbnails._large:
        made.start()
        made.join(0.5 if alone else 10)
        assert made.is_alive() is alone
    made.join(10)
    assert not made.is_alive()


def test_a_jpeg_that_would_be_read_hundreds_of_times_is_left_out() -> None:
    data = picture((64, 32), progressive=True)
    assert decoded(small(data + thumbnails.START_OF_SCAN * 50))
    assert small(data + thumbnails.START_OF_SCAN * 100) == UNREADABLE


def test_what_is_transparent_lies_on_white() -> None:
    assert decoded(small(picture(kind="PNG", mode="RGBA"))).getpixel((1, 1)) == (255,) * 3


def test_what_is_no_picture_is_said_so() -> None:
    assert small(None) == MISSING
    for data in (b"", b"hello", picture()[:200], b"%!PS-Adobe-3.0 EPSF-3.0"):
        assert small(data) == UNREADABLE


@pytest.mark.parametrize(
    ("tag", "kind", "raised"),
    [
        (0x0100, 2, struct.error),  # a width that is text
        (0x0131, 11, AttributeError),  # software that is a number
        (0x011A, 2, TypeError),  # a resolution that is text
    ],
)
def test_a_jpeg_is_turned_whatever_else_is_wrong_with_its_exif(
    tag: int, kind: int, raised: type[Exception]
) -> None:
    turned, broken = (0x0112, 3, 1, b"\6\0\0\0"), (tag, kind, 1, b"\1\2\3\4")
    entries = b"".join(struct.pack("<HHI4s", *entry) for entry in (turned, broken))
    data = picture((64, 32), exif=b"Exif\0\0II*\0\x08\0\0\0\2\0" + entries + bytes(4))
    with Image.open(io.BytesIO(data)) as opened, pytest.raises(raised):
        ImageOps.exif_transpose(opened)
    assert decoded(small(data)).size == (32, 64)
    assert decode(data, 100).shape == (64, 32, 3)


@pytest.mark.parametrize("number", range(9))
def test_each_orientation_is_what_pillow_makes_of_it(number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    file = io.BytesIO()
    Image.effect_noise((16, 8), 100).convert("RGB").save(file, "JPEG", exif=exif)
    with Image.open(file) as opened:
        assert upright(opened).tobytes() == ImageOps.exif_transpose(opened).tobytes()


def test_exif_that_is_none_turns_nothing() -> None:
    assert decoded(small(picture((64, 32), exif=b"Exif\0\0II*\0\xff\xff\xff"))).size == (64, 32)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert small(picture((64, 48), "PNG")) == UNREADABLE


def test_the_answers_come_in_the_order_of_the_items() -> None:
    second = threading.Event()

    def slow_at_first(item: int) -> int:
        assert second.wait(10) if item == 0 else item
        if item == 1:
            second.set()
        return item

    # of items without an end it takes only a few ahead
    assert list(islice(map_in_order(slow_at_first, count()), 100)) == list(range(100))
