"""The looking behind the sandbox's Rekognition: which things an image shows and what it says.

Every answer is remembered by the image's content, so the same bytes are looked at once, however
often and from however many threads somebody asks. Coordinates are ratios of the upright image.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import queue
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sandbox import model

T = TypeVar("T")
Floats = NDArray[np.float32]
Point = tuple[float, float]

# the pools below keep every core busy
cv2.setNumThreads(1)
# the limits are the service's business, and checked by its size
Image.MAX_IMAGE_PIXELS = None
MOST_PIXELS = 200_000_000
REMEMBERED = 512
AT_ONCE = min(4, os.cpu_count() or 1)

INPUT_SIDE = 300
FAINTEST = 0.1
OVERLAP = 0.5
# cells a side, and anchors in a cell, of each layer of the network
LAYERS = ((19, 3), (10, 6), (5, 6), (3, 6), (2, 6), (1, 6))
# raw score → confidence in percent: where real Rekognition's decisions are in recordings
SHY, SURE = (0.48, 85.0), (0.55, 90.0)

TEXT_SIDE_LEAST, TEXT_SIDE_MOST = 480, 2000
TEXT_SCORE = 0.5
# Rekognition reads Latin, Cyrillic and Arabic; the reader here sees Chinese in trees
LAST_SIGN = "\u06ff"


@dataclass(frozen=True)
class Box:
    """A rectangle, in ratios of the image's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Sighting:
    """One thing seen: its class, the model's raw score (0-1), the confidence (percent), where."""

    name: str
    score: float
    confidence: float
    box: Box


@dataclass(frozen=True)
class Word:
    """A word of a line, its confidence in percent, its corners clockwise from the top left."""

    text: str
    confidence: float
    polygon: tuple[Point, ...]


@dataclass(frozen=True)
class Line(Word):
    """A line of text, with the words that make it up."""

    words: tuple[Word, ...]


class UnreadableImageError(Exception):
    """The bytes are not a whole JPEG or PNG."""


def labels(image: bytes) -> tuple[Sighting, ...]:
    """Says what `image` shows, the surest first.

    Raises UnreadableImageError, or SandboxError when the model can neither be found nor fetched.
    """
    return _labels(image)


def text_lines(image: bytes) -> tuple[Line, ...]:
    """Reads `image`, from top to bottom. Raises UnreadableImageError."""
    return _text_lines(image)


def size(image: bytes) -> tuple[int, int]:
    """Reads width and height in pixels, as stored, from the header. Raises UnreadableImageError."""
    with _opened(image) as picture:
        return picture.size


def warm_up() -> None:
    """Loads (and if need be fetches) the models, so that the first images need not wait for it.

    Every reader reads something, for the first time takes each of them a while.
    """
    with _networks.one():
        pass
    pages = [io.BytesIO() for _ in range(AT_ONCE)]
    for number, page in enumerate(pages):
        Image.new("RGB", (160 + number, 120), "white").save(page, "PNG")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda page: text_lines(page.getvalue()), pages))


def confidence(score: float) -> float:
    """Turns a raw score of the label model (0-1) into what Rekognition would say (percent)."""
    (x1, y1), (x2, y2) = ((_logit(raw), _logit(percent / 100)) for raw, percent in (SHY, SURE))
    slope = (y2 - y1) / (x2 - x1)
    return 100 / (1 + math.exp(-(y1 + slope * (_logit(score) - x1))))


def _logit(share: float) -> float:
    share = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))


class _Memory(Generic[T]):
    """Remembers what `look` said about the latest images; who asks meanwhile waits for it."""

    def __init__(self, look: Callable[[bytes], T]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, Future[T]] = OrderedDict()

    def __call__(self, image: bytes) -> T:
        key = hashlib.sha256(image).digest()
        with self._lock:
            answer = self._seen.get(key)
            if first := answer is None:
                answer = self._seen[key] = Future()
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
            self._seen.move_to_end(key)
        if first:
            self._settle(key, image, answer)
        return answer.result()

    def _settle(self, key: bytes, image: bytes, answer: Future[T]) -> None:
        try:
            answer.set_result(self._look(image))
        except BaseException as error:
            with self._lock:
                self._seen.pop(key, None)
            answer.set_exception(error)


class _Pool(Generic[T]):
    """Lends something that one thread at a time may use, and makes no more than the cores use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: queue.LifoQueue[T | None] = queue.LifoQueue()
        for _ in range(AT_ONCE):
            self._idle.put(None)

    @contextmanager
    def one(self) -> Iterator[T]:
        lent = self._idle.get()
        try:
            lent = lent or self._make()
            yield lent
        finally:
            self._idle.put(lent)


@contextmanager
def _opened(image: bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(image), formats=("JPEG", "PNG")) as picture:
            yield picture
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(str(error)) from error


def _open(image: bytes, side: int) -> NDArray[np.uint8]:
    """Decodes to upright RGB; a large JPEG only as finely as `side` pixels a side need."""
    with _opened(image) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise UnreadableImageError("more pixels than this machine would like to hold")
        picture.draft("RGB", (side, side))
        # Rekognition turns a JPEG by its EXIF orientation and leaves a PNG as it is
        upright = picture if picture.format == "PNG" else ImageOps.exif_transpose(picture)
        return np.asarray(_rgb(upright))


def _rgb(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return paper.convert("RGB")


# --- labels ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Network:
    """The SSD network: its class names, its anchors (4x1917: x, y, width, height), the net."""

    names: tuple[str, ...]
    anchors: Floats
    net: Any


def _make_network() -> _Network:
    found = model.load()
    # only the classic engine gives both outputs, and it can be chosen for a file alone
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(found.tflite)
        file.flush()
        net = cv2.dnn.readNetFromTFLite(file.name, cv2.dnn.ENGINE_CLASSIC)
    return _Network(found.names, _anchors(), net)


def _anchors() -> Floats:
    """The boxes that the network's outputs are relative to, layer by layer, row by row."""
    scales = [*np.linspace(0.2, 0.95, 6), 1.0]
    anchors = []
    for layer, (cells, _) in enumerate(LAYERS):
        scale, between = scales[layer], math.sqrt(scales[layer] * scales[layer + 1])
        shapes = [(scale, ratio) for ratio in (1.0, 2.0, 1 / 2, 3.0, 1 / 3)] + [(between, 1.0)]
        if layer == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 1 / 2)]
        for row in range(cells):
            for column in range(cells):
                centre = ((column + 0.5) / cells, (row + 0.5) / cells)
                anchors += [(*centre, s * math.sqrt(r), s / math.sqrt(r)) for s, r in shapes]
    return np.array(anchors, np.float32).T


def _see(image: bytes) -> tuple[Sighting, ...]:
    pixels = _open(image, 2 * INPUT_SIDE)
    small = Image.fromarray(pixels).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR)
    blob = cv2.dnn.blobFromImage(np.asarray(small), 1 / 127.5, mean=(127.5, 127.5, 127.5))
    with _networks.one() as network:
        network.net.setInput(blob)
        outputs = ("raw_outputs/box_encodings", "raw_outputs/class_predictions")
        encodings, logits = network.net.forward(outputs)
        boxes = _decode(_unscrambled(encodings[0]), network.anchors)
        scores = 1 / (1 + np.exp(-logits[0]))
    found = [
        sighting
        for column, name in enumerate(network.names)
        if column  # the first class is the background
        for sighting in _best(name, scores[:, column], boxes)
    ]
    return tuple(sorted(found, key=lambda sighting: -sighting.score))


def _unscrambled(encodings: Floats) -> Floats:
    """Puts each anchor's four numbers together again.

    OpenCV reshapes the layers' outputs in its own order of axes (channel, row, column), and so
    deals them out to the wrong anchors; the scores it turns first.
    """
    layers = np.split(encodings, np.cumsum([cells**2 * boxes for cells, boxes in LAYERS])[:-1])
    return np.concatenate(
        [
            layer.T.reshape(4 * boxes, cells, cells).transpose(1, 2, 0).reshape(-1, 4)
            for layer, (cells, boxes) in zip(layers, LAYERS, strict=True)
        ]
    )


def _decode(encodings: Floats, anchors: Floats) -> Floats:
    """Turns the network's box encodings (1917x4) into left, top, width, height within the image."""
    dy, dx, dh, dw = encodings.T / np.array([[10], [10], [5], [5]], np.float32)
    x, y, width, height = anchors
    centre_x, centre_y = x + dx * width, y + dy * height
    width, height = width * np.exp(dw), height * np.exp(dh)
    left, right = ((centre_x + side * width / 2).clip(0, 1) for side in (-1, 1))
    top, bottom = ((centre_y + side * height / 2).clip(0, 1) for side in (-1, 1))
    return np.stack([left, top, right - left, bottom - top], axis=1)


def _best(name: str, scores: Floats, boxes: Floats) -> Iterator[Sighting]:
    """One sighting for each thing, of the many overlapping boxes that see it."""
    for index in cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), FAINTEST, OVERLAP):
        score = float(scores[index])
        left, top, width, height = (float(ratio) for ratio in boxes[index])
        yield Sighting(name, score, confidence(score), Box(left, top, width, height))


# --- text --------------------------------------------------------------------------------------


def _make_reader() -> Any:
    from rapidocr import RapidOCR  # noqa: PLC0415 - takes most of a second, and labels need none

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": TEXT_SCORE,
            "Global.use_preprocess_img": False,
            "Global.use_cls": False,
            "Det.limit_type": "min",
            "Det.limit_side_len": TEXT_SIDE_LEAST,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _read(image: bytes) -> tuple[Line, ...]:
    page, width, height = _page(image)
    with _readers.one() as reader:
        found = reader(page)
    if not found.txts:
        return ()
    corners = found.boxes / (width, height)
    return tuple(
        _line(text, float(score) * 100, [(float(x), float(y)) for x, y in polygon])
        for text, score, polygon in zip(found.txts, found.scores, corners, strict=True)
        if any(sign.isalnum() and sign <= LAST_SIGN for sign in text)
    )


def _page(image: bytes) -> tuple[NDArray[np.uint8], int, int]:
    """Brings the image to a size that the reader takes as it is; width and height without margin.

    The reader's own way to do that fails for, or blows up, what is much longer than wide.
    """
    picture = Image.fromarray(_open(image, TEXT_SIDE_MOST))
    wanted = max(1.0, TEXT_SIDE_LEAST / min(picture.size))
    scale = min(wanted, TEXT_SIDE_MOST / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    page = Image.new("RGB", (max(width, TEXT_SIDE_LEAST), max(height, TEXT_SIDE_LEAST)))
    page.paste(picture.resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(page)[:, :, ::-1], width, height


def _line(text: str, sure: float, polygon: Sequence[Point]) -> Line:
    polygon = tuple(_within(point) for point in polygon)
    text = " ".join(text.split())
    return Line(text, sure, polygon, tuple(_words(text, sure, polygon)))


def _words(text: str, sure: float, polygon: Sequence[Point]) -> Iterator[Word]:
    """Cuts a line's quadrangle where its spaces are, as if all letters were equally wide."""
    top_left, top_right, bottom_right, bottom_left = polygon
    begin = 0
    for word in text.split(" "):
        start, end = begin / len(text), (begin + len(word)) / len(text)
        yield Word(
            word,
            sure,
            (
                _between(top_left, top_right, start),
                _between(top_left, top_right, end),
                _between(bottom_left, bottom_right, end),
                _between(bottom_left, bottom_right, start),
            ),
        )
        begin += len(word) + 1


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _within(point: Point) -> Point:
    return min(max(point[0], 0.0), 1.0), min(max(point[1], 0.0), 1.0)


_networks = _Pool(_make_network)
_readers = _Pool(_make_reader)
_labels = _Memory(_see)
_text_lines = _Memory(_read)
