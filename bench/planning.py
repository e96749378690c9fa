"""What `cartext plan` takes for a large bucket whose pages come slowly."""

from __future__ import annotations

import json

from bench.child import Child
from bench.fleet import PATIENCE, wait_for_quiet, workshop
from bench.measures import Rows
from bench.stub import Scenario, Stub


def planning(quick: bool) -> Rows:
    """Ten million keys at 250 ms a page, a thousand keys on each."""
    scenario = Scenario(20_000 if quick else 10_000_000, s3_seconds=0.02 if quick else 0.25)
    wait_for_quiet(PATIENCE.seconds)
    with workshop() as folder, Stub(scenario) as stub:
        told = folder / "plan.json"
        with told.open("wb") as file:
            child = Child("plan", stub.environment(), folder, "--json", stdout=file)
        try:
            usage = child.wait()
        finally:
            child.kill()
        images, record = json.loads(told.read_text())["images"], stub.record()
    listed = images == scenario.images
    yield {
        "keys": scenario.images,
        "seconds": usage.seconds,
        "CPU s": usage.cpu,
        "CPU µs a key": usage.cpu / scenario.images * 1e6,
        "memory MB": usage.memory,
        "S3 calls": record["calls"]["S3 ListObjectsV2"],
        "CPU s of the stub": record["cpu"],
        "problems": "" if listed else f"{images} of {scenario.images} images were listed",
    }
