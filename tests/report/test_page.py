"""The report in a real browser."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sandbox.scenes import Sample
from tests.report.browser import Browser
from tests.report.conftest import EVIL, MAGENTA, RECTANGLE, MakePage, true_result
from workers.model import Box

CAR_COLOUR = (255, 176, 0)
Rgb = tuple[int, int, int]


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The page, loaded, in a light window."""
    browser.window(1280, 1000, prefers_color_scheme="light")
    browser.open(page)
    return browser


def shown(browser: Browser) -> list[str]:
    """The names of the pictures that can be seen, or are kept ready."""
    names: list[str] = browser.evaluate(
        "[...document.querySelectorAll('.card h2')].map((name) => name.textContent)"
    )
    return names


def count(browser: Browser) -> str:
    text: str = browser.evaluate("document.querySelector('#shown').textContent")
    return text


def search(browser: Browser, text: str) -> None:
    browser.evaluate("document.querySelector('#search').focus()")
    browser.evaluate("document.querySelector('#search').select()")
    if text:
        browser.type(text)
    else:
        browser.press("Backspace", 8)
    # the page waits until nobody types
    browser.evaluate("new Promise((done) => setTimeout(done, 200))")


def choose(browser: Browser, selector: str) -> None:
    browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


def sort(browser: Browser, order: str) -> None:
    browser.evaluate(
        f"((s) => {{ s.value = {json.dumps(order)};"
        " s.dispatchEvent(new Event('change', { bubbles: true })); })"
        "(document.querySelector('#sort'))"
    )


def test_nothing_leaves_the_page_and_the_console_is_silent(opened: Browser, page: Path) -> None:
    opened.wait_for("document.querySelector('.card img')?.naturalWidth")
    search(opened, "a")
    choose(opened, "[value=low]")
    opened.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert opened.complaints == []
    assert opened.requests == [page.as_uri()]


def test_what_was_read_stands_beside_its_picture(opened: Browser, samples: list[Sample]) -> None:
    cars = [sample for sample in samples if sample.truth.car]
    assert shown(opened)[: len(cars)] == [sample.index for sample in cars]
    card = opened.evaluate("document.querySelector('.card .about').innerText")
    for part in (cars[0].index, "Car", "98.0 %", cars[0].truth.text[0], "99.0 %"):
        assert part in card


def test_a_script_in_a_name_or_a_text_stays_text(opened: Browser) -> None:
    assert EVIL in shown(opened)
    texts = opened.evaluate(
        "[...document.querySelectorAll('.card li')].map((li) => li.firstChild.textContent)"
    )
    assert EVIL in texts
    assert not [event for event in opened.events if "Dialog" in event["method"]]
    assert opened.evaluate("document.querySelectorAll('img[src=x]').length") == 0


# --- boxes --------------------------------------------------------------------------------------


def stage(browser: Browser, index: str) -> Image.Image:
    """The picture with what is drawn over it, as it is on the screen."""
    browser.wait_for(f"({CARD})({json.dumps(index)})?.querySelector('img')?.complete")
    where = browser.evaluate(f"({STAGE})({json.dumps(index)})")
    return browser.screenshot(**where)


CARD = """(index) => [...document.querySelectorAll('.card')].find(
    (card) => card.querySelector('h2').textContent === index)"""
STAGE = f"""(index) => {{
    const stage = ({CARD})(index).querySelector('.stage');
    stage.scrollIntoView({{ block: 'center' }});
    const box = stage.getBoundingClientRect();
    return {{ x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height }};
}}"""


def near(colour: Any, wanted: Rgb, tolerance: int = 30) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, wanted, strict=True))


def has_colour(image: Image.Image, x: float, y: float, colour: Rgb) -> bool:
    """Whether a pixel there, or one beside it, has the colour."""
    return any(
        near(image.getpixel((px, py)), colour)
        for px in range(round(x) - 2, round(x) + 3)
        for py in range(round(y) - 2, round(y) + 3)
        if 0 <= px < image.width and 0 <= py < image.height
    )


def on_the_edges(box: Box, grow: float = 0) -> list[tuple[float, float]]:
    """Points on all four sides, as ratios; `grow` moves them outwards."""
    left, top = box.left - grow, box.top - grow
    right, bottom = box.left + box.width + grow, box.top + box.height + grow
    points = []
    for share in (0.2, 0.5, 0.8):
        x, y = left + share * (right - left), top + share * (bottom - top)
        points += [(x, top), (x, bottom), (left, y), (right, y)]
    return points


def test_the_boxes_are_where_the_cars_are_drawn(opened: Browser, samples: list[Sample]) -> None:
    for sample in samples:
        if not sample.truth.car:
            continue
        image = stage(opened, sample.index)
        for truth in sample.truth.boxes:
            box = Box(*truth)
            for x, y in on_the_edges(box):
                assert has_colour(image, x * image.width, y * image.height, CAR_COLOUR), (
                    f"{sample.index}: no box at {x:.2f}, {y:.2f}"
                )
            # a box that is everywhere would be right everywhere
            inside = on_the_edges(box, -0.04)
            drawn = [
                has_colour(image, x * image.width, y * image.height, CAR_COLOUR) for x, y in inside
            ]
            assert not all(drawn)


def test_a_picture_turned_by_its_exif_lies_under_its_box(opened: Browser) -> None:
    choose(opened, "#boxes")
    image = stage(opened, "turned.jpg")
    assert image.width < image.height
    left, top, right, bottom = bounding_box(image, MAGENTA)
    assert left == pytest.approx(RECTANGLE.left * image.width, abs=2)
    assert top == pytest.approx(RECTANGLE.top * image.height, abs=2)
    assert right == pytest.approx((RECTANGLE.left + RECTANGLE.width) * image.width, abs=2)
    assert bottom == pytest.approx((RECTANGLE.top + RECTANGLE.height) * image.height, abs=2)
    choose(opened, "#boxes")
    with_box = stage(opened, "turned.jpg")
    for x, y in on_the_edges(RECTANGLE):
        assert has_colour(with_box, x * with_box.width, y * with_box.height, CAR_COLOUR)


def bounding_box(image: Image.Image, colour: Rgb) -> tuple[int, int, int, int]:
    points = [
        (x, y)
        for x in range(image.width)
        for y in range(image.height)
        if near(image.getpixel((x, y)), colour, 60)
    ]
    columns, rows = [x for x, _ in points], [y for _, y in points]
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def test_a_line_of_text_shows_its_place(opened: Browser) -> None:
    where = opened.evaluate(
        "((b) => ({ x: b.x + 4, y: b.y + 4 }))"
        "(document.querySelector('.card li').getBoundingClientRect())"
    )
    opened.call("Input.dispatchMouseEvent", type="mouseMoved", **where)
    opened.wait_for("document.querySelector('polygon.hot')")


def test_without_a_picture_the_card_says_why(opened: Browser) -> None:
    told = opened.evaluate("[...document.querySelectorAll('.card')].map((card) => card.innerText)")
    gone = next(text for text in told if "gone.jpg" in text)
    assert "No picture: it is not there" in gone
    assert "Failed: gone: no longer there" in gone
    notes = next(text for text in told if "notes.txt" in text)
    assert "No picture: it cannot be shown" in notes


def test_a_car_that_is_not_sure_enough_is_shown_as_that(opened: Browser) -> None:
    choose(opened, "[value=near]")
    assert shown(opened) == ["almost.jpg", "hardly.jpg"]
    card = opened.evaluate("document.querySelector('.card .about').innerText")
    assert card.split() == ["almost.jpg", "Car", "87", "%,", "below", "90"]
    image = stage(opened, "almost.jpg")
    for x, y in on_the_edges(RECTANGLE):
        assert has_colour(image, x * image.width, y * image.height, CAR_COLOUR)
    for kind in ("without", "low"):
        choose(opened, f"[value={kind}]")
        assert "almost.jpg" not in shown(opened)


def test_new_is_what_was_paid_for_in_this_run(opened: Browser) -> None:
    choose(opened, "[value=all]")
    everything = shown(opened)
    choose(opened, "[value=new]")
    not_new = {"turned.jpg", "gone.jpg", "empty.jpg", "notes.txt"}
    assert shown(opened) == [name for name in everything if name not in not_new]


# --- finding ------------------------------------------------------------------------------------


def test_search_finds_text_and_names(opened: Browser, samples: list[Sample]) -> None:
    plate = samples[0].truth.text[0]
    opened.press("/", 191, "/")
    assert opened.evaluate("document.activeElement.id") == "search"
    search(opened, plate.lower())
    assert shown(opened) == ["1.jpg"]
    assert count(opened) == "1 picture"
    assert opened.evaluate("document.querySelector('mark').textContent") == plate
    search(opened, f"{plate[:3]} {plate[3:]}")
    assert shown(opened) == ["1.jpg"], "a plate with a space"
    search(opened, "turned")
    assert shown(opened) == ["turned.jpg"]
    search(opened, "no such text")
    assert shown(opened) == []
    assert count(opened) == "nothing found"
    search(opened, "")
    assert len(shown(opened)) > 5


def test_filters_show_what_they_count(opened: Browser) -> None:
    for kind in ("all", "text", "without", "near", "failed", "low", "new"):
        choose(opened, f"[value={kind}]")
        number = opened.evaluate(f"document.querySelector('[value={kind}] + span b').textContent")
        assert count(opened) == f"{number} picture{'' if number == '1' else 's'}"
        assert len(shown(opened)) == int(number)
        if kind == "failed":
            assert set(shown(opened)) == {"gone.jpg", "empty.jpg", "notes.txt"}
        if kind == "low":
            assert set(shown(opened)) == {"turned.jpg", EVIL}


def test_what_is_low_can_be_set(opened: Browser) -> None:
    choose(opened, "[value=low]")
    opened.evaluate("document.querySelector('#threshold').focus()")
    opened.evaluate("document.querySelector('#threshold').select()")
    opened.type("90")
    opened.wait_for("document.querySelector('#shown').textContent === '1 picture'")
    assert shown(opened) == [EVIL]


@pytest.mark.parametrize(
    ("order", "check"),
    [
        ("unsure", lambda names: names[:3] == ["hardly.jpg", EVIL, "almost.jpg"]),
        ("sure", lambda names: names[-3:] == ["hardly.jpg", "empty.jpg", "notes.txt"]),
        ("lines", lambda names: names[0] in {"5.jpg", "10.jpg"}),
        ("latest", lambda names: names[0] == "20.jpg"),
        ("name", lambda names: names[0] == "1.jpg"),
    ],
)
def test_sorting(opened: Browser, order: str, check: Callable[[list[str]], bool]) -> None:
    sort(opened, order)
    assert check(shown(opened)), shown(opened)


# --- many ---------------------------------------------------------------------------------------

MANY = 10_000


@pytest.fixture(scope="module")
def many(samples: list[Sample], make_page: MakePage) -> Path:
    """Ten thousand rows, with a few pictures again and again."""
    cars = [sample for sample in samples if sample.truth.car]
    small = [jpeg_of(Image.new("RGB", (160, 120), (n * 9, 90, 150))) for n in range(len(cars))]
    results, pictures = [], {}
    for number in range(MANY):
        index, kind = f"album/{number + 1}.jpg", number % len(cars)
        results.append(true_result(Sample(index, b"", cars[kind].truth), number))
        pictures[index] = small[kind]
    return make_page(results, pictures)


def jpeg_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def test_ten_thousand_rows_are_there_soon_and_scroll(browser: Browser, many: Path) -> None:
    browser.window(1280, 1000)
    began = time.monotonic()
    browser.open(many)
    browser.wait_for("document.querySelector('.card img')?.naturalWidth")
    seconds = time.monotonic() - began
    # 0.5 s on a quiet machine: this only says that nothing grows with the square of the rows
    assert seconds < 20
    assert count(browser) == "10,000 pictures"
    assert len(shown(browser)) < 200, "only what is near the window is there"
    height = browser.evaluate("document.body.scrollHeight")
    assert height > MANY / 2 * 200

    last = f"document.querySelector('[aria-posinset=\"{MANY}\"] img')?.naturalWidth"
    browser.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    browser.wait_for(last)
    browser.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert browser.evaluate(
        f"document.querySelector('[aria-posinset=\"{MANY}\"]').getBoundingClientRect().bottom"
        " <= innerHeight"
    )
    assert browser.evaluate("!document.querySelector('[aria-posinset=\"1\"]')"), "left behind"
    browser.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    browser.wait_for("document.elementFromPoint(300, 500)?.closest('.card')")


def test_a_search_among_ten_thousand_finds_the_one(browser: Browser, many: Path) -> None:
    browser.window(1280, 1000)
    browser.open(many)
    browser.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    search(browser, "album/9876.jpg")
    assert shown(browser) == ["album/9876.jpg"]
    assert browser.evaluate(
        "((b) => b.top >= 0 && b.top < innerHeight)"
        "(document.querySelector('.card').getBoundingClientRect())"
    ), "what was found is in sight"
    search(browser, "")
    assert count(browser) == "10,000 pictures"


# --- for everybody ------------------------------------------------------------------------------


def accessible(browser: Browser) -> list[tuple[str, str]]:
    """Role and name of everything that a screen reader is told."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]


def test_a_screen_reader_is_told_what_is_there(opened: Browser, samples: list[Sample]) -> None:
    opened.wait_for("document.querySelector('.card img')?.naturalWidth")
    told = accessible(opened)
    assert ("searchbox", "Search text and names") in told
    assert ("main", "Pictures") in told
    assert ("heading", "1.jpg") in told
    assert ("image", f"Car; text: {samples[0].truth.text[0]}") in told
    assert any(role == "radio" and name.startswith("Failed") for role, name in told)
    assert any(role == "status" for role, _ in told)
    assert any(role == "image" and name.startswith("Car confidence: ") for role, name in told)
    assert any(role == "image" and name.startswith("Time line: ") for role, name in told)
    for role, name in told:
        if role in {"searchbox", "radio", "checkbox", "combobox", "spinbutton", "image", "link"}:
            assert name, f"a {role} without a name"
    sizes = opened.evaluate(
        "[...document.querySelectorAll('.card')].map((card) => card.getAttribute('aria-setsize'))"
    )
    assert set(sizes) == {str(len(sizes))}


def test_the_keyboard_reaches_every_control(opened: Browser) -> None:
    reached = []
    for _ in range(8):
        opened.press("Tab", 9)
        reached.append(
            opened.evaluate("document.activeElement.id || document.activeElement.className")
            or opened.evaluate("document.activeElement.name")
        )
    assert reached[:2] == ["skip", "search"]
    assert {"filter", "threshold", "sort", "boxes"} <= set(reached)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, page: Path, scheme: str) -> None:
    browser.window(1280, 1000, prefers_color_scheme=scheme)
    browser.open(page)
    colours = browser.evaluate(
        """(() => {
            const of = (name, kind) => getComputedStyle(document.querySelector(name))[kind];
            const card = of('.card', 'backgroundColor'), paper = of('body', 'backgroundColor');
            return [
                [of('body', 'color'), paper], [of('.counts dt', 'color'), paper],
                [of('.percent', 'color'), card], [of('.low', 'color'), card],
                [of('.failure', 'color'), card], [of('.chart figcaption', 'color'), card],
                [of('.frame', 'color'), of('.frame', 'backgroundColor')],
            ];
        })()"""
    )
    grounds = [luminance(ground) for _, ground in colours]
    assert all(ground > 0.5 for ground in grounds) == (scheme == "light")
    for colour, ground in colours:
        high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
        # https://www.w3.org/TR/WCAG22/#contrast-minimum
        assert (high + 0.05) / (low + 0.05) >= 4.5, (colour, ground)


def luminance(css: str) -> float:
    def linear(part: str) -> float:
        share = int(part) / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, re.findall(r"\d+", css)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("width", [360, 800, 1280, 1900])
def test_nothing_is_wider_than_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.window(width, 900)
    browser.open(page)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_all_that_is_shown_is_printed(opened: Browser) -> None:
    choose(opened, "[value=text]")
    wanted = int(count(opened).split()[0])
    # the evil one has no picture
    assert opened.pdf().count(b"/Subtype /Image") >= wanted - 1


def test_what_is_far_from_the_window_is_printed_too(browser: Browser, many: Path) -> None:
    browser.window(1280, 1000)
    browser.open(many)
    search(browser, "album/99")
    wanted = int(count(browser).split()[0])
    assert len(shown(browser)) < wanted
    # a page holds seven pictures at most
    assert len(re.findall(rb"/Type /Page\b", browser.pdf())) >= wanted / 7


def test_without_scripts_the_page_says_so(browser: Browser, page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert "results.jsonl" in browser.evaluate("document.querySelector('main').innerText")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
