"""Sample images, drawn: streets, cars with and without a plate, signs, and what is true of each.

The same seed draws the same pictures. A plate has none of the letters that look like a digit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sandbox.scenes.cars import car_end, car_side
from sandbox.scenes.easel import HEIGHT, WHITE, WIDTH, Easel, Truth
from sandbox.scenes.surroundings import SIGN_COLOURS, shop, street, tree

ROAD_SIGNS = ("CITY CENTRE", "AIRPORT", "HARBOUR", "UNIVERSITY", "MUSEUM", "NORTH PARK")
NIGHT = 0.82


__all__ = ["Sample", "Scene", "Truth", "sample_images", "scenes"]


@dataclass(frozen=True)
class Sample:
    """An image as it would lie in a bucket: its index (key), its bytes, and what it shows."""

    index: str
    data: bytes
    truth: Truth


@dataclass(frozen=True)
class Scene:
    """One kind of picture; `draw` makes one of it, and `picture_format` is JPEG or PNG."""

    name: str
    draw: Callable[[Easel], None]
    picture_format: str = "JPEG"


def scenes() -> tuple[Scene, ...]:
    """Returns every kind of picture there is, in the order in which the samples show them."""
    return (
        Scene("car with a plate", _car),
        Scene("empty street", street),
        Scene("car without text", _car_without_text),
        Scene("sign without a car", _road_sign),
        Scene("two cars", _two_cars),
        Scene("car seen from the front", partial(_car, front=True)),
        Scene("car at night", partial(_car, dark=NIGHT)),
        Scene("park", _park),
        Scene("PNG that is called .jpg", _car, "PNG"),
        Scene("car before a shop", _car_before_shop),
    )


def sample_images(count: int = 10, seed: int = 1) -> Iterator[Sample]:
    """Draws `1.jpg`, `2.jpg` and so on; past the last scene come the same scenes, drawn anew."""
    kinds = scenes()
    for number in range(count):
        scene = kinds[number % len(kinds)]
        easel = Easel(random.Random(f"{seed}/{number}"))
        scene.draw(easel)
        yield Sample(f"{number + 1}.jpg", easel.picture(scene.picture_format), easel.truth())


def _car(easel: Easel, *, front: bool = False, dark: float = 0.0) -> None:
    street(easel, dark)
    x, width = easel.chance.uniform(320, 480), easel.chance.uniform(360, 440)
    car_end(easel, x, width, front=front, dark=dark)


def _two_cars(easel: Easel) -> None:
    street(easel)
    car_end(easel, easel.chance.uniform(195, 215), easel.chance.uniform(325, 350))
    car_end(easel, easel.chance.uniform(585, 605), easel.chance.uniform(325, 350), front=True)


def _car_before_shop(easel: Easel) -> None:
    street(easel)
    shop(easel)
    car_end(easel, easel.chance.uniform(320, 480), easel.chance.uniform(360, 420))


def _car_without_text(easel: Easel) -> None:
    street(easel)
    car_side(easel, easel.chance.uniform(360, 440), easel.chance.uniform(460, 560))


def _road_sign(easel: Easel) -> None:
    street(easel)
    x = easel.chance.uniform(330, 470)
    for side in (-130, 130):
        easel.box((x + side - 5, 180, x + side + 5, 470), (126, 130, 134), 2)
    easel.box((x - 215, 110, x + 215, 260), (240, 242, 240), 14)
    easel.box((x - 209, 116, x + 209, 254), easel.chance.choice(SIGN_COLOURS), 10)
    for place, y in zip(easel.chance.sample(ROAD_SIGNS, 2), (154, 216), strict=True):
        easel.write(place, (x, y), WHITE, 40)


def _park(easel: Easel) -> None:
    easel.shape(((0, 0), (WIDTH, 0), (WIDTH, 380), (0, 380)), (126, 178, 222), (232, 238, 240))
    easel.oval((620, 60, 700, 140), (252, 240, 196))
    easel.oval((-200, 300, 520, 620), (132, 168, 112))
    easel.oval((320, 320, 1100, 640), (118, 158, 102))
    easel.box((0, 430, WIDTH, HEIGHT), (104, 148, 88))
    easel.shape(((330, 430), (390, 430), (620, HEIGHT), (180, HEIGHT)), (206, 192, 164))
    for x in (90, 230, 520, 690):
        tree(easel, x + easel.chance.uniform(-30, 30), easel.chance.uniform(440, 500))
