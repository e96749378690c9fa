"""The regions in which Rekognition finds labels and text, as far as the SDK knows."""

from __future__ import annotations

from typing import Any

from botocore.session import Session

from workers.errors import RunError

# https://docs.aws.amazon.com/general/latest/gr/rekognition.html: it looks at faces there, no more
ONLY_FACES = {"ca-central-1"}


def rekognition_regions(sdk: Session, region: str) -> list[str]:
    """Those in the partition (AWS, its China, its GovCloud …) that a region is in."""
    partition = sdk.get_partition_for_region(region)
    return sorted({*sdk.get_available_regions("rekognition", partition)} - ONLY_FACES)


def check_region(sdk: Session, client: Any) -> None:
    """Raises RunError when a client of Rekognition is in a region that has none.

    An endpoint of somebody's own (`AWS_ENDPOINT_URL` …) is believed, whatever the region.
    """
    region = client.meta.region_name
    if f"rekognition.{region}." not in client.meta.endpoint_url:
        return
    having_it = rekognition_regions(sdk, region)
    if region not in having_it:
        raise RunError(
            f"there is no Rekognition in {region} that finds labels and text, and it reads only "
            "its own region's buckets; set AWS_REGION to one that has it, and use a bucket there: "
            f"{', '.join(having_it) or 'none of this partition'}"
        )
