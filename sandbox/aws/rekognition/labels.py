"""DetectLabels: what an image shows, with what Rekognition knows of each label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.aws.rekognition import eyes
from sandbox.aws.rekognition.eyes.detector import Sighting
from sandbox.aws.rekognition.images import Picture
from sandbox.aws.rekognition.refusals import Refusal

MIN_CONFIDENCE, MAX_LABELS = 55.0, 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What Rekognition says about a label wherever it sees it."""

    category: str
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


_ANIMALS, _APPAREL = "Animals and Pets", "Apparel and Accessories"
_COMPUTING, _FOOD = "Technology and Computing", "Food and Beverage"
_FURNITURE, _VEHICLES = "Furniture and Furnishings", "Vehicles and Automotive"

KINDS = {
    "Animal": Kind(_ANIMALS),
    "Bicycle": Kind(_VEHICLES, ("Transportation", "Vehicle"), ("Bike",)),
    "Book": Kind("Education", ("Publication",)),
    "Boot": Kind(_APPAREL, ("Clothing", "Footwear")),
    "Bottle": Kind("Kitchen and Dining"),
    "Box": Kind("Everyday Objects"),
    "Camera": Kind(_COMPUTING, ("Electronics",)),
    "Canine": Kind(_ANIMALS, ("Animal", "Mammal")),
    "Car": Kind(_VEHICLES, ("Transportation", "Vehicle"), ("Automobile",)),
    "Cat": Kind(_ANIMALS, ("Animal", "Mammal", "Pet")),
    "Cattle": Kind(_ANIMALS, ("Animal", "Livestock", "Mammal")),
    "Chair": Kind(_FURNITURE, ("Furniture",)),
    "Clothing": Kind(_APPAREL, (), ("Apparel",)),
    "Coffee Cup": Kind(_FOOD, ("Cup",)),
    "Computer": Kind(_COMPUTING, ("Electronics",)),
    "Computer Hardware": Kind(_COMPUTING, ("Electronics", "Hardware")),
    "Cup": Kind(_FOOD),
    "Desk": Kind(_FURNITURE, ("Furniture", "Table")),
    "Dog": Kind(_ANIMALS, ("Animal", "Canine", "Mammal", "Pet"), ("Puppy",)),
    "Electronics": Kind(_COMPUTING),
    "Exercise Bike": Kind("Health and Fitness", ("Bicycle", "Transportation", "Vehicle")),
    "Footwear": Kind(_APPAREL, ("Clothing",)),
    "Furniture": Kind(_FURNITURE),
    "Hardware": Kind(_COMPUTING, ("Electronics",)),
    "High Heel": Kind(_APPAREL, ("Clothing", "Footwear", "Shoe")),
    "Laptop": Kind(_COMPUTING, ("Computer", "Electronics", "Pc")),
    "Livestock": Kind(_ANIMALS, ("Animal", "Mammal")),
    "Mammal": Kind(_ANIMALS, ("Animal",)),
    "Monitor": Kind(_COMPUTING, ("Computer Hardware", "Electronics", "Hardware", "Screen")),
    "Mouse": Kind(_COMPUTING, ("Computer Hardware", "Electronics", "Hardware")),
    "Mug": Kind(_FOOD, ("Cup",)),
    "Pc": Kind(_COMPUTING, ("Computer", "Electronics")),
    "Person": Kind("Person Description", (), ("Human",)),
    "Pet": Kind(_ANIMALS, ("Animal",)),
    "Publication": Kind("Education"),
    "Screen": Kind(_COMPUTING, ("Electronics",)),
    "Shoe": Kind(_APPAREL, ("Clothing", "Footwear")),
    "Table": Kind(_FURNITURE, ("Furniture",)),
    "Transportation": Kind(_VEHICLES),
    "Vehicle": Kind(_VEHICLES, ("Transportation",)),
}

# what the model and Rekognition call by different names
RENAMED = {
    "Coffee cup": "Coffee Cup",
    "Computer monitor": "Monitor",
    "Computer mouse": "Mouse",
    "High heels": "High Heel",
    "Stationary bicycle": "Exercise Bike",
}


def detect_labels(picture: Picture, request: Json) -> Json:
    """The answer to a request. Raises Refusal."""
    if "IMAGE_PROPERTIES" in request.get("Features", ()):
        raise Refusal("InvalidParameterException", "The sandbox has no IMAGE_PROPERTIES")
    least = request.get("MinConfidence", MIN_CONFIDENCE)
    wanted = _label_filter(request.get("Settings", {}).get("GeneralLabels", {}))
    seen: dict[str, list[Sighting]] = {}
    for sighting in picture.look(eyes.labels):
        if sighting.confidence >= least:
            name = RENAMED.get(sighting.name, sighting.name)
            seen.setdefault(name, []).append(sighting)
            for parent in KINDS[name].parents:
                seen.setdefault(parent, [])
    found = [_label(name, seen) for name in seen if wanted(name)]
    found.sort(key=lambda label: (-label["Confidence"], label["Name"]))
    labels = found[: request.get("MaxLabels", MAX_LABELS)]
    return {"Labels": labels, "LabelModelVersion": "3.0"}


def _label_filter(settings: Json) -> Callable[[str], bool]:
    labels, no_labels, categories, no_categories = (
        set(settings.get(f"Label{which}Filters", ()))
        for which in ("Inclusion", "Exclusion", "CategoryInclusion", "CategoryExclusion")
    )

    def wanted(name: str) -> bool:
        category = KINDS[name].category
        included = name in labels or category in categories or not (labels or categories)
        return included and name not in no_labels and category not in no_categories

    return wanted


def _label(name: str, seen: dict[str, list[Sighting]]) -> Json:
    kind = KINDS[name]
    # a parent is as sure as the surest of its children
    family = (name, *(child for child in seen if name in KINDS[child].parents))
    return {
        "Name": name,
        "Confidence": max(sighting.confidence for one in family for sighting in seen[one]),
        "Instances": [
            {"BoundingBox": sighting.box.as_json(), "Confidence": sighting.confidence}
            for sighting in seen[name]
        ],
        "Parents": [{"Name": parent} for parent in kind.parents],
        "Aliases": [{"Name": alias} for alias in kind.aliases],
        "Categories": [{"Name": kind.category}],
    }
