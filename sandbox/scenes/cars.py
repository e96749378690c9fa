"""Cars: from behind and from the front, with a plate, and from the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.scenes.easel import BLACK, WHITE, Easel, Point, Rectangle, Rgb, mix

PLATE_LETTERS, PLATE_DIGITS = "ACEFHJKLMNPRTUVWXY", "34679"


@dataclass(frozen=True)
class Chassis:
    """Where a car goes: what it is made of is measured in hundredths of its width.

    x counts from the car's middle (to the left when it is `turned`), y upwards from the ground.
    """

    easel: Easel
    x: float
    width: float
    ground: float = 560
    turned: bool = False

    def at(self, point: Point) -> Point:
        across, up = (ratio * self.width / 100 for ratio in point)
        return self.x + (-across if self.turned else across), self.ground - up

    def area(self, where: Rectangle) -> Rectangle:
        (x1, top), (x2, bottom) = self.at((where[0], where[3])), self.at((where[2], where[1]))
        return min(x1, x2), top, max(x1, x2), bottom

    def box(self, where: Rectangle, colour: Rgb, radius: float = 0) -> None:
        self.easel.box(self.area(where), colour, radius * self.width / 100)

    def oval(self, where: Rectangle, colour: Rgb) -> None:
        self.easel.oval(self.area(where), colour)

    def shape(self, points: Sequence[Point], colour: Rgb, below: Rgb | None = None) -> None:
        self.easel.shape([self.at(point) for point in points], colour, below)


def car_end(
    easel: Easel, x: float, width: float, *, front: bool = False, dark: float = 0.0
) -> None:
    """A car with a plate, seen from behind or from the front."""
    car = Chassis(easel, x, width)
    paint = mix(easel.paints.pop(), BLACK, dark / 3)
    light, shade = mix(paint, WHITE, 0.3), mix(paint, BLACK, 0.45)
    car.oval((-56, -5, 56, 6), mix((46, 47, 50), BLACK, dark))
    for side in (-46, 29):
        car.box((side, 0, side + 17, 22), (22, 22, 24), 4)
    _cabin(car, paint)
    right = ((41, 51), (46, 46), (49, 34), (49, 18), (46, 10))
    left = [(-across, up) for across, up in reversed(right)]
    car.shape((*left, *right), light, shade)
    car.box((-40, 48, 40, 49), light)
    car.box((-49, 10, 49, 20), shade, 4)
    car.box((-49, 20, 49, 21.5), mix(shade, BLACK, 0.3))
    for side in (-46, 27):
        car.box((side, 32, side + 19, 44), (30, 32, 36), 3)
        car.box((side + 1, 33, side + 18, 43), (250, 246, 220) if front else (200, 24, 28), 3)
    if front:
        car.box((-22, 30, 22, 42), (34, 36, 40), 2)
        for bar in range(4):
            car.box((-20, 31.8 + bar * 2.6, 20, 32.7 + bar * 2.6), (150, 154, 160))
    else:
        for side in (-35, 29):
            car.box((side, 34, side + 6, 42), (244, 226, 220), 2)
    _plate(car, 20.5 if front else 25)
    easel.cars.append(car.area((-50, 0, 50, 79)))


def _cabin(car: Chassis, paint: Rgb) -> None:
    light, shade = mix(paint, WHITE, 0.3), mix(paint, BLACK, 0.45)
    car.shape(((-42, 50), (-32, 74), (-26, 79), (26, 79), (32, 74), (42, 50)), light, paint)
    car.shape(((-36, 51), (-27.5, 73), (27.5, 73), (36, 51)), (38, 50, 64), (92, 112, 132))
    for side in (-20, 8):
        car.box((side, 51, side + 12, 62), (24, 30, 38), 3)
    car.box((-33, 50, 33, 52), shade, 1)
    for side in (-53, 42):
        car.box((side, 51, side + 11, 58), paint, 3)


def _plate(car: Chassis, up: float) -> None:
    chance = car.easel.chance
    letters, digits = chance.choices(PLATE_LETTERS, k=3), chance.choices(PLATE_DIGITS, k=3)
    car.box((-22, up - 6, 22, up + 6), (24, 26, 30), 1)
    car.box((-21.5, up - 5.5, 21.5, up + 5.5), (246, 246, 240), 0.8)
    car.easel.write("".join(letters + digits), car.at((0, up)), (16, 18, 24), car.width * 0.086)


def car_side(easel: Easel, x: float, width: float) -> None:
    """A car seen from its side, where it has no plate."""
    car = Chassis(easel, x, width, turned=easel.chance.random() < 0.5)
    paint = easel.paints.pop()
    light, shade = mix(paint, WHITE, 0.25), mix(paint, BLACK, 0.35)
    car.oval((-52, -4, 52, 3), (46, 47, 50))
    trunk = ((-49, 8), (-50, 20), (-47, 24), (-36, 26), (-22, 38), (-16, 40))
    bonnet = ((10, 40), (16, 38), (30, 26), (46, 22), (49, 18), (49, 8))
    car.shape((*trunk, *bonnet), light, paint)
    for window in (
        ((-31, 26), (-20, 36.5), (-15, 38), (-4, 38), (-4, 26)),
        ((-1.5, 26), (-1.5, 38), (9, 38), (14, 36.5), (25, 26)),
    ):
        car.shape(window, (44, 58, 74), (84, 102, 122))
    car.box((-49, 7, 49, 12), shade, 2)
    for seam, handle in ((-3, -12), (24, 15)):
        car.box((seam, 10, seam + 0.6, 26), shade)
        car.box((handle, 20.8, handle + 6, 22), shade, 0.6)
    car.box((44, 18, 49, 22), (250, 246, 220), 1.5)
    car.box((-50, 17, -46, 22), (196, 24, 28), 1.5)
    for wheel in (-30, 31):
        _wheel(car, wheel, paint)
    easel.cars.append(car.area((-50, 0, 50, 40)))


def _wheel(car: Chassis, x: float, paint: Rgb) -> None:
    for radius, colour in (
        (10.2, mix(paint, BLACK, 0.6)),
        (9, (24, 24, 26)),
        (6, (176, 180, 186)),
    ):
        car.oval((x - radius, 9 - radius, x + radius, 9 + radius), colour)
    for spoke in range(5):
        angle = math.tau * spoke / 5
        across, up = x + 4 * math.sin(angle), 9 + 4 * math.cos(angle)
        car.oval((across - 1.3, up - 1.3, across + 1.3, up + 1.3), (70, 72, 78))
