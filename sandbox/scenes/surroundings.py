"""What cars stand in: a street by day and by night, houses, a shop, trees."""

from __future__ import annotations

from sandbox.scenes.easel import BLACK, HEIGHT, WIDTH, Easel, Rectangle, Rgb, mix

SHOP_NAMES = ("BAKERY", "FLOWERS", "MARKET", "PHARMACY", "TEA HOUSE", "LAUNDRY")
SIGN_COLOURS: tuple[Rgb, ...] = ((20, 74, 140), (24, 104, 66), (128, 40, 44))


def street(easel: Easel, dark: float = 0.0) -> None:
    """Sky, houses, pavement and road, by day (`dark` 0) or by night (near 1)."""
    day, night = ((126, 176, 220), (228, 234, 238)), ((8, 10, 26), (24, 26, 50))
    above, below = (mix(a, b, dark) for a, b in zip(day, night, strict=True))
    easel.shape(((0, 0), (WIDTH, 0), (WIDTH, 400), (0, 400)), above, below)
    x = -20.0
    while x < WIDTH:
        width, height = easel.chance.uniform(90, 150), easel.chance.uniform(150, 300)
        house(easel, (x, 400 - height, x + width, 400), dark)
        x += width
    for top, bottom, colour in (
        (400, 432, (178, 176, 172)),
        (432, 438, (140, 138, 136)),
        (438, HEIGHT, (92, 94, 98)),
    ):
        easel.box((0, top, WIDTH, bottom), mix(colour, BLACK, dark))
    for x in range(-40, WIDTH, 160):
        stripe = ((x, 586), (x + 80, 586), (x + 84, 594), (x - 4, 594))
        easel.shape(stripe, mix((226, 224, 214), BLACK, dark))


def house(easel: Easel, where: Rectangle, dark: float) -> None:
    left, top, right, bottom = where
    tone = easel.chance.choice(((198, 180, 160), (172, 160, 156), (208, 196, 178)))
    tone = mix(tone, (14, 15, 30), dark)
    easel.box(where, tone)
    easel.box((left, top, right, top + 8), mix(tone, BLACK, 0.25))
    columns, rows = int((right - left - 14) // 28), int((bottom - top - 60) // 40)
    margin = (right - left - columns * 28 + 10) / 2
    for number in range(columns * rows):
        x, y = left + margin + number % columns * 28, top + 24 + number // columns * 40
        lit = dark and easel.chance.random() < 0.25
        pane = (216, 186, 112) if lit else mix(tone, (40, 54, 76), 0.6)
        easel.box((x, y, x + 18, y + 24), pane)


def tree(easel: Easel, x: float, ground: float) -> None:
    size = easel.chance.uniform(70, 100)
    radius = size * 0.45
    easel.box((x - 8, ground - size, x + 8, ground), (110, 84, 62), 3)
    for _ in range(9):
        left = x + easel.chance.uniform(-0.7, 0.7) * size - radius
        top = ground - size * 1.5 + easel.chance.uniform(-0.6, 0.6) * size - radius
        leaf = mix((78, 130, 70), (100, 150, 82), easel.chance.random())
        easel.oval((left, top, left + 2 * radius, top + 2 * radius), leaf)


def shop(easel: Easel) -> None:
    easel.box((60, 150, 740, 404), (206, 190, 166))
    easel.box((60, 150, 740, 160), (150, 132, 110))
    for left, right in ((90, 440), (610, 710)):
        easel.box((left, 250, right, 392), (196, 204, 200))
    easel.box((480, 250, 580, 404), (160, 128, 98))
    easel.box((80, 172, 720, 236), easel.chance.choice(SIGN_COLOURS), 4)
    easel.write(easel.chance.choice(SHOP_NAMES), (400, 204), (250, 244, 226), 44)
