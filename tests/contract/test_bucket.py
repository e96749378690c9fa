"""A bucket that is somebody else's, or in another region, is named and let alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.report.pictures import BucketPictures
from console.services import open_bucket
from tests.contract.conftest import settings
from tests.unit.fakes import png
from workers.aws.calls import Calls
from workers.aws.clients import make_clients
from workers.errors import AccessError, RunError
from workers.images.bucket import Bucket
from workers.model import Image, Listed
from workers.threads.stop import Stop

if TYPE_CHECKING:
    from sandbox.aws.server import Sandbox

OURS, SOMEBODY_ELSES = "123456789012", "999999999999"


@pytest.fixture
def bucket_of(moto: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bucket]:
    """The bucket, as a worker opens it that expects this owner."""
    for name, value in moto.aws_environment.items():
        monkeypatch.setenv(name, value)
    moto.create_bucket("photos", [("1.png", png())])
    return lambda owner: open_bucket(settings(expected_bucket_owner=owner))


CALLS: list[Callable[[Bucket], Any]] = [
    lambda bucket: list(bucket.pages()),
    lambda bucket: bucket.identified([Image("1.png", 0, "")])[0].problem or True,
    lambda bucket: bucket.download("1.png"),
    lambda bucket: bucket.why_not_readable("1.png"),
]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_says_whose_the_bucket_is(
    bucket_of: Callable[[str], Bucket], call: Callable[[Bucket], Any]
) -> None:
    bucket_of(OURS).check()
    assert call(bucket_of(OURS))
    try:
        denied = call(bucket_of(SOMEBODY_ELSES))
    except (RunError, AccessError) as error:
        denied = error
    assert "AccessDenied" in str(denied) or "permission denied" in str(denied)


def test_a_bucket_of_somebody_elses_is_named_with_both_settings(
    bucket_of: Callable[[str], Bucket],
) -> None:
    with pytest.raises(
        RunError,
        match=f"'photos' does not belong to the account {SOMEBODY_ELSES}.*CARTEXT_BUCKET.*_OWNER",
    ):
        bucket_of(SOMEBODY_ELSES).check()


@pytest.mark.parametrize("call", CALLS)
def test_no_call_follows_a_bucket_into_another_region(
    moto: Sandbox, bucket_of: Callable[[str], Bucket], call: Callable[[Bucket], Any]
) -> None:
    """There it could be listed and read, but Rekognition would not see one image."""
    moto.create_bucket("far-away", [("1.png", png())], region="eu-west-1")
    bucket = open_bucket(settings(bucket="far-away"))
    with pytest.raises(RunError, match="'far-away' is in another region"):
        call(bucket)
    with pytest.raises(RunError, match=r"is in eu-west-1, .* AWS_REGION=eu-west-1"):
        bucket.check()


def test_of_a_key_s3_says_what_a_listing_says(
    moto: Sandbox, bucket_of: Callable[[str], Bucket], tmp_path: Path
) -> None:
    moto.create_bucket("keyed", [("ü b+.png", png()), ("empty.png", b"")])
    keys = tmp_path / "keys"
    keys.write_text("ü b+.png\nempty.png\ngone.png\n")
    listing, named = (open_bucket(settings(bucket="keyed", keys=k)) for k in (None, keys))
    (page,) = named.pages()
    image, empty, gone = named.identified(page)
    assert [image] == [each for (page,) in [listing.pages()] for each in page if each.size]
    assert (empty.problem or "").startswith("empty: ")
    assert (gone.problem or "").startswith("gone: ")


NAMES = ("{:03d}.jpg", "2024/{:02d}/ü +%&.jpg", "あ/{}")


@pytest.fixture
def put_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Fills the bucket with 30 keys of each name; returns them in S3's order."""
    for name, value in sandbox.aws_environment.items():
        monkeypatch.setenv(name, value)

    def put(*names: str) -> list[str]:
        keys = [name.format(number) for name in names for number in range(30)]
        sandbox.create_bucket("photos", [(key, b"x") for key in keys])
        return sorted(keys, key=str.encode)

    return put


@pytest.mark.parametrize("by_keys", [False, True])
def test_parts_are_the_whole_listing_wherever_it_goes_on(
    put_named: Callable[..., list[str]], sandbox: Sandbox, tmp_path: Path, by_keys: bool
) -> None:
    """Another lister goes on behind any of them, and any worker finds the images of one."""
    keys = put_named(*NAMES, "{:x}😀.png")
    for folder in ("2024/", "あ/"):
        sandbox.client("s3").put_object(Bucket="photos", Key=folder)
    (tmp_path / "keys").write_text("\n".join(keys))
    bucket = open_bucket(settings(keys=tmp_path / "keys" if by_keys else None))
    parts = list(bucket.parts(Listed(), 17))
    assert [image.index for _, images in parts for image in images] == keys
    assert [part.number for part, _ in parts] == [*range(1, len(parts) + 1)]
    assert all(image.part == part.number for part, images in parts for image in images)
    assert [part.after for part, _ in parts] == ["", *(part.upto for part, _ in parts[:-1])]
    assert max(part.images for part, _ in parts) <= 17
    for place, (part, images) in enumerate(parts):
        assert len(images) == part.images
        assert bucket.part(part) == images
        behind = Listed().behind(*(part for part, _ in parts[: place + 1]))
        assert list(bucket.parts(behind, 17)) == parts[place + 1 :]


def test_stretches_side_by_side_are_the_whole_listing(
    put_named: Callable[..., list[str]],
) -> None:
    # behind such a key moto cannot be asked to begin
    keys = put_named(*NAMES, "{:x}😀\uffff.png")
    (s3,) = make_clients(settings(), "s3")
    small = []

    def list_less(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        small.append(params)
        return {"MaxKeys": 3, **params}

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", list_less)
    bucket = Bucket(s3, Calls(settings(), Stop()), settings(prefix=""))
    found = [image.index for page in bucket.pages() for image in page]
    assert any("StartAfter" in params for params in small), "it was divided"
    assert sorted(found) == sorted(keys)


def test_the_report_says_it_too(bucket_of: Callable[[str], Bucket]) -> None:
    bucket_of(OURS)
    for owner, fetched in ((OURS, png()), (SOMEBODY_ELSES, None)):
        expecting = settings(expected_bucket_owner=owner)
        (s3,) = make_clients(expecting, "s3")
        pictures = BucketPictures(s3, Calls(expecting, Stop()), expecting)
        if fetched:
            assert pictures.fetch("1.png") == fetched
        else:
            with pytest.raises(RunError, match="no picture can be fetched from 'photos'"):
                pictures.fetch("1.png")
