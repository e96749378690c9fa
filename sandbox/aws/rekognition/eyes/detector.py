"""Which things an image shows: the SSD MobileNet v2, and its scores as Rekognition's confidence."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sandbox.aws.rekognition import model
from sandbox.aws.rekognition.eyes.pixels import Box, decode

Floats = NDArray[np.float32]

# several looks keep every core busy
cv2.setNumThreads(1)

INPUT_SIDE = 300
FAINTEST = 0.1
OVERLAP = 0.5
# cells a side, and anchors in a cell, of each layer of the network
LAYERS = ((19, 3), (10, 6), (5, 6), (3, 6), (2, 6), (1, 6))
# raw score → confidence in percent: where real Rekognition's decisions are in recordings
SHY, SURE = (0.48, 85.0), (0.55, 90.0)


@dataclass(frozen=True)
class Sighting:
    """One thing seen: its class, the model's raw score (0-1), the confidence (percent), where."""

    name: str
    score: float
    confidence: float
    box: Box


@dataclass(frozen=True)
class Network:
    """The SSD network: its class names, its anchors (4x1917: x, y, width, height), the net."""

    names: tuple[str, ...]
    anchors: Floats
    net: Any


def load() -> Network:
    """Raises SandboxError when the model can neither be found nor fetched."""
    found = model.load()
    # only the classic engine gives both outputs, and it can be chosen for a file alone
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(found.tflite)
        file.flush()
        net = cv2.dnn.readNetFromTFLite(file.name, cv2.dnn.ENGINE_CLASSIC)
    return Network(found.names, _anchors(), net)


def see(network: Network, image: bytes) -> tuple[Sighting, ...]:
    """Says what `image` shows, the surest first. Raises UnreadableImageError."""
    pixels = decode(image, 2 * INPUT_SIDE)
    small = Image.fromarray(pixels).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR)
    blob = cv2.dnn.blobFromImage(np.asarray(small), 1 / 127.5, mean=(127.5, 127.5, 127.5))
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


def confidence(score: float) -> float:
    """Turns a raw score of the label model (0-1) into what Rekognition would say (percent)."""
    (x1, y1), (x2, y2) = ((_logit(raw), _logit(percent / 100)) for raw, percent in (SHY, SURE))
    slope = (y2 - y1) / (x2 - x1)
    return 100 / (1 + math.exp(-(y1 + slope * (_logit(score) - x1))))


def _logit(share: float) -> float:
    share = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))


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
