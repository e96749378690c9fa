"""A picture being drawn, and what is true of it so far."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

# what is drawn on, in points, and the sizes in pixels that it comes in
WIDTH, HEIGHT = 800, 600
SIZES = ((800, 600), (720, 540), (640, 480))
# drawn larger and then made smaller, because Pillow's shapes have hard edges
FINE = 2

Rgb = tuple[int, int, int]
Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
CAR_COLOURS: tuple[Rgb, ...] = (
    (178, 34, 40),
    (32, 84, 160),
    (240, 208, 40),
    (36, 110, 84),
    (24, 130, 140),
    (120, 30, 60),
    (112, 60, 128),
)


@dataclass(frozen=True)
class Truth:
    """What a sample shows: its texts from top to bottom, and where its cars are.

    A box is left, top, width and height, as ratios of the image.
    """

    car: bool
    text: tuple[str, ...]
    boxes: tuple[Rectangle, ...]


class Easel:
    """Measured in points; `texts` and `cars` tell what is on it, and where."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.image = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE))
        self.pen = ImageDraw.Draw(self.image)
        self.paints = chance.sample(CAR_COLOURS, len(CAR_COLOURS))
        self.texts: list[tuple[float, float, str]] = []
        self.cars: list[Rectangle] = []

    def truth(self) -> Truth:
        boxes = tuple(
            (left / WIDTH, top / HEIGHT, (right - left) / WIDTH, (bottom - top) / HEIGHT)
            for left, top, right, bottom in self.cars
        )
        return Truth(bool(boxes), tuple(text for *_, text in sorted(self.texts)), boxes)

    def picture(self, picture_format: str) -> bytes:
        file = io.BytesIO()
        small = self.image.resize(self.chance.choice(SIZES), Image.Resampling.LANCZOS)
        small.save(file, picture_format, quality=90)
        return file.getvalue()

    def box(self, where: Rectangle, colour: Rgb, radius: float = 0) -> None:
        left, top, right, bottom = (FINE * side for side in where)
        self.pen.rounded_rectangle((left, top, right - 1, bottom - 1), FINE * radius, colour)

    def oval(self, where: Rectangle, colour: Rgb) -> None:
        self.pen.ellipse([FINE * side for side in where], colour)

    def shape(self, points: Sequence[Point], colour: Rgb, below: Rgb | None = None) -> None:
        """Fills a polygon, with a colour that turns into `below` towards its lower end."""
        corners = [(FINE * x, FINE * y) for x, y in points]
        if below is None:
            self.pen.polygon(corners, colour)
            return
        xs, ys = zip(*corners, strict=True)
        left, top = round(min(xs)), round(min(ys))
        size = round(max(xs)) - left, round(max(ys)) - top
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in corners], 255)
        paint = Image.new("RGB", size, colour)
        paint.paste(below, mask=Image.linear_gradient("L").resize(size))
        self.image.paste(paint, (left, top), mask)

    def write(self, text: str, middle: Point, colour: Rgb, size: float) -> None:
        x, y = middle
        font = ImageFont.load_default(FINE * size)
        place = FINE * x, FINE * y
        self.pen.text(place, text, colour, font, anchor="mm", stroke_width=FINE / 2)
        self.texts.append((round(y / 20), x, text))


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
