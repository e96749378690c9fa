"""Sample images, drawn: streets, cars with and without a plate, signs, and what is true of each.

The same seed draws the same pictures. A plate has none of the letters that look like a digit.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterator, Sequence
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
PLATE_LETTERS, PLATE_DIGITS = "ACEFHJKLMNPRTUVWXY", "34679"
SHOP_NAMES = ("BAKERY", "FLOWERS", "MARKET", "PHARMACY", "TEA HOUSE", "LAUNDRY")
ROAD_SIGNS = ("CITY CENTRE", "AIRPORT", "HARBOUR", "UNIVERSITY", "MUSEUM", "NORTH PARK")
SIGN_COLOURS: tuple[Rgb, ...] = ((20, 74, 140), (24, 104, 66), (128, 40, 44))
NIGHT = 0.82


@dataclass(frozen=True)
class Truth:
    """What a sample shows: its texts from top to bottom, and where its cars are.

    A box is left, top, width and height, as ratios of the image.
    """

    car: bool
    text: tuple[str, ...]
    boxes: tuple[Rectangle, ...]


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
    draw: Callable[[_Easel], None]
    picture_format: str = "JPEG"


def scenes() -> tuple[Scene, ...]:
    """Returns every kind of picture there is, in the order in which the samples show them."""
    return (
        Scene("car with a plate", _car_with_plate),
        Scene("empty street", _street),
        Scene("car without text", _car_without_text),
        Scene("sign without a car", _road_sign),
        Scene("two cars", _two_cars),
        Scene("car seen from the front", _car_from_front),
        Scene("car at night", _night_car),
        Scene("park", _park),
        Scene("PNG that is called .jpg", _car_with_plate, "PNG"),
        Scene("car before a shop", _car_before_shop),
    )


def sample_images(count: int = 10, seed: int = 1) -> Iterator[Sample]:
    """Draws `1.jpg`, `2.jpg` and so on; past the last scene come the same scenes, drawn anew."""
    kinds = scenes()
    for number in range(count):
        scene = kinds[number % len(kinds)]
        easel = _Easel(random.Random(f"{seed}/{number}"))
        scene.draw(easel)
        yield Sample(f"{number + 1}.jpg", easel.picture(scene.picture_format), easel.truth())


# --- the easel ---------------------------------------------------------------------------------


class _Easel:
    """A picture being drawn, measured in points, and what is true of it so far."""

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


@dataclass(frozen=True)
class _Chassis:
    """Where a car goes: what it is made of is measured in hundredths of its width.

    x counts from the car's middle (to the left when it is `turned`), y upwards from the ground.
    """

    easel: _Easel
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


def _mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


# --- what is in the pictures -------------------------------------------------------------------


def _street(easel: _Easel, dark: float = 0.0) -> None:
    """Sky, houses, pavement and road, by day (`dark` 0) or by night (near 1)."""
    day, night = ((126, 176, 220), (228, 234, 238)), ((8, 10, 26), (24, 26, 50))
    above, below = (_mix(a, b, dark) for a, b in zip(day, night, strict=True))
    easel.shape(((0, 0), (WIDTH, 0), (WIDTH, 400), (0, 400)), above, below)
    x = -20.0
    while x < WIDTH:
        width, height = easel.chance.uniform(90, 150), easel.chance.uniform(150, 300)
        _house(easel, (x, 400 - height, x + width, 400), dark)
        x += width
    for top, bottom, colour in (
        (400, 432, (178, 176, 172)),
        (432, 438, (140, 138, 136)),
        (438, HEIGHT, (92, 94, 98)),
    ):
        easel.box((0, top, WIDTH, bottom), _mix(colour, BLACK, dark))
    for x in range(-40, WIDTH, 160):
        stripe = ((x, 586), (x + 80, 586), (x + 84, 594), (x - 4, 594))
        easel.shape(stripe, _mix((226, 224, 214), BLACK, dark))


def _house(easel: _Easel, where: Rectangle, dark: float) -> None:
    left, top, right, bottom = where
    tone = easel.chance.choice(((198, 180, 160), (172, 160, 156), (208, 196, 178)))
    tone = _mix(tone, (14, 15, 30), dark)
    easel.box(where, tone)
    easel.box((left, top, right, top + 8), _mix(tone, BLACK, 0.25))
    columns, rows = int((right - left - 14) // 28), int((bottom - top - 60) // 40)
    margin = (right - left - columns * 28 + 10) / 2
    for number in range(columns * rows):
        x, y = left + margin + number % columns * 28, top + 24 + number // columns * 40
        lit = dark and easel.chance.random() < 0.25
        pane = (216, 186, 112) if lit else _mix(tone, (40, 54, 76), 0.6)
        easel.box((x, y, x + 18, y + 24), pane)


def _car_end(
    easel: _Easel, x: float, width: float, *, front: bool = False, dark: float = 0.0
) -> None:
    """A car with a plate, seen from behind or from the front."""
    car = _Chassis(easel, x, width)
    paint = _mix(easel.paints.pop(), BLACK, dark / 3)
    light, shade = _mix(paint, WHITE, 0.3), _mix(paint, BLACK, 0.45)
    car.oval((-56, -5, 56, 6), _mix((46, 47, 50), BLACK, dark))
    for side in (-46, 29):
        car.box((side, 0, side + 17, 22), (22, 22, 24), 4)
    _cabin(car, paint)
    right = ((41, 51), (46, 46), (49, 34), (49, 18), (46, 10))
    left = [(-across, up) for across, up in reversed(right)]
    car.shape((*left, *right), light, shade)
    car.box((-40, 48, 40, 49), light)
    car.box((-49, 10, 49, 20), shade, 4)
    car.box((-49, 20, 49, 21.5), _mix(shade, BLACK, 0.3))
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


def _cabin(car: _Chassis, paint: Rgb) -> None:
    light, shade = _mix(paint, WHITE, 0.3), _mix(paint, BLACK, 0.45)
    car.shape(((-42, 50), (-32, 74), (-26, 79), (26, 79), (32, 74), (42, 50)), light, paint)
    car.shape(((-36, 51), (-27.5, 73), (27.5, 73), (36, 51)), (38, 50, 64), (92, 112, 132))
    for side in (-20, 8):
        car.box((side, 51, side + 12, 62), (24, 30, 38), 3)
    car.box((-33, 50, 33, 52), shade, 1)
    for side in (-53, 42):
        car.box((side, 51, side + 11, 58), paint, 3)


def _plate(car: _Chassis, up: float) -> None:
    chance = car.easel.chance
    letters, digits = chance.choices(PLATE_LETTERS, k=3), chance.choices(PLATE_DIGITS, k=3)
    car.box((-22, up - 6, 22, up + 6), (24, 26, 30), 1)
    car.box((-21.5, up - 5.5, 21.5, up + 5.5), (246, 246, 240), 0.8)
    car.easel.write("".join(letters + digits), car.at((0, up)), (16, 18, 24), car.width * 0.086)


def _car_side(easel: _Easel, x: float, width: float) -> None:
    """A car seen from its side, where it has no plate."""
    car = _Chassis(easel, x, width, turned=easel.chance.random() < 0.5)
    paint = easel.paints.pop()
    light, shade = _mix(paint, WHITE, 0.25), _mix(paint, BLACK, 0.35)
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


def _wheel(car: _Chassis, x: float, paint: Rgb) -> None:
    for radius, colour in (
        (10.2, _mix(paint, BLACK, 0.6)),
        (9, (24, 24, 26)),
        (6, (176, 180, 186)),
    ):
        car.oval((x - radius, 9 - radius, x + radius, 9 + radius), colour)
    for spoke in range(5):
        angle = math.tau * spoke / 5
        across, up = x + 4 * math.sin(angle), 9 + 4 * math.cos(angle)
        car.oval((across - 1.3, up - 1.3, across + 1.3, up + 1.3), (70, 72, 78))


def _tree(easel: _Easel, x: float, ground: float) -> None:
    size = easel.chance.uniform(70, 100)
    radius = size * 0.45
    easel.box((x - 8, ground - size, x + 8, ground), (110, 84, 62), 3)
    for _ in range(9):
        left = x + easel.chance.uniform(-0.7, 0.7) * size - radius
        top = ground - size * 1.5 + easel.chance.uniform(-0.6, 0.6) * size - radius
        leaf = _mix((78, 130, 70), (100, 150, 82), easel.chance.random())
        easel.oval((left, top, left + 2 * radius, top + 2 * radius), leaf)


def _shop(easel: _Easel) -> None:
    easel.box((60, 150, 740, 404), (206, 190, 166))
    easel.box((60, 150, 740, 160), (150, 132, 110))
    for left, right in ((90, 440), (610, 710)):
        easel.box((left, 250, right, 392), (196, 204, 200))
    easel.box((480, 250, 580, 404), (160, 128, 98))
    easel.box((80, 172, 720, 236), easel.chance.choice(SIGN_COLOURS), 4)
    easel.write(easel.chance.choice(SHOP_NAMES), (400, 204), (250, 244, 226), 44)


# --- the scenes --------------------------------------------------------------------------------


def _car_with_plate(easel: _Easel) -> None:
    _street(easel)
    _car_end(easel, easel.chance.uniform(320, 480), easel.chance.uniform(360, 440))


def _car_from_front(easel: _Easel) -> None:
    _street(easel)
    _car_end(easel, easel.chance.uniform(320, 480), easel.chance.uniform(360, 440), front=True)


def _two_cars(easel: _Easel) -> None:
    _street(easel)
    _car_end(easel, easel.chance.uniform(195, 215), easel.chance.uniform(325, 350))
    _car_end(easel, easel.chance.uniform(585, 605), easel.chance.uniform(325, 350), front=True)


def _night_car(easel: _Easel) -> None:
    _street(easel, NIGHT)
    _car_end(easel, easel.chance.uniform(320, 480), easel.chance.uniform(360, 440), dark=NIGHT)


def _car_before_shop(easel: _Easel) -> None:
    _street(easel)
    _shop(easel)
    _car_end(easel, easel.chance.uniform(320, 480), easel.chance.uniform(360, 420))


def _car_without_text(easel: _Easel) -> None:
    _street(easel)
    _car_side(easel, easel.chance.uniform(360, 440), easel.chance.uniform(460, 560))


def _road_sign(easel: _Easel) -> None:
    _street(easel)
    x = easel.chance.uniform(330, 470)
    for side in (-130, 130):
        easel.box((x + side - 5, 180, x + side + 5, 470), (126, 130, 134), 2)
    easel.box((x - 215, 110, x + 215, 260), (240, 242, 240), 14)
    easel.box((x - 209, 116, x + 209, 254), easel.chance.choice(SIGN_COLOURS), 10)
    for place, y in zip(easel.chance.sample(ROAD_SIGNS, 2), (154, 216), strict=True):
        easel.write(place, (x, y), WHITE, 40)


def _park(easel: _Easel) -> None:
    easel.shape(((0, 0), (WIDTH, 0), (WIDTH, 380), (0, 380)), (126, 178, 222), (232, 238, 240))
    easel.oval((620, 60, 700, 140), (252, 240, 196))
    easel.oval((-200, 300, 520, 620), (132, 168, 112))
    easel.oval((320, 320, 1100, 640), (118, 158, 102))
    easel.box((0, 430, WIDTH, HEIGHT), (104, 148, 88))
    easel.shape(((330, 430), (390, 430), (620, HEIGHT), (180, HEIGHT)), (206, 192, 164))
    for x in (90, 230, 520, 690):
        _tree(easel, x + easel.chance.uniform(-30, 30), easel.chance.uniform(440, 500))
