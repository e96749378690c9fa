"""The sample scenes, and whether a Rekognition sees what was drawn."""

from __future__ import annotations

from typing import Any

from sandbox.scenes import Truth, sample_images

SAMPLES = {sample.index: sample for sample in sample_images()}


def assert_seen_as_drawn(client: Any, image: dict[str, Any], truth: Truth) -> None:
    """Asks about an `Image`; the cars must be where they are, the text what it says."""
    labels = client.detect_labels(Image=image, MinConfidence=0)["Labels"]
    cars = [car for label in labels if label["Name"] == "Car" for car in label["Instances"]]
    if truth.car:
        sure = [car["BoundingBox"] for car in cars if car["Confidence"] > 92.5]
        assert all(max(overlap(box, drawn) for box in sure) > 0.7 for drawn in truth.boxes)
        assert len(sure) == len(truth.boxes)
    else:
        assert all(car["Confidence"] < 60 for car in cars)
    assert tuple(texts(client.detect_text(Image=image))) == truth.text


def texts(answer: dict[str, Any], kind: str = "LINE") -> list[str]:
    """The text of its lines, or of its words."""
    return [text["DetectedText"] for text in answer["TextDetections"] if text["Type"] == kind]


def overlap(box: dict[str, float], drawn: tuple[float, float, float, float]) -> float:
    """What two boxes share, of what they cover together (intersection over union)."""
    left, top, width, height = drawn
    across = min(box["Left"] + box["Width"], left + width) - max(box["Left"], left)
    down = min(box["Top"] + box["Height"], top + height) - max(box["Top"], top)
    both = max(across, 0) * max(down, 0)
    return both / (box["Width"] * box["Height"] + width * height - both)
