"""Makes docs/errors.md from the table of errors: `python -m tests.docs.errors_table`."""

from __future__ import annotations

import re
from pathlib import Path

from workers.aws.meaning import NO_ACCESS, TABLE, WRONG, Meaning, Row
from workers.errors import DO_NOT_START_AGAIN, START_AGAIN

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

TRIES = "tries again for `CARTEXT_RETRY_SECONDS`, ever more rarely; then "
ENDS = f"ends with {START_AGAIN}, and systemd starts it again"
DOES = {
    Meaning.IMAGE: "keeps the image as failed, with the reason, and goes on with the others. Where "
    f"the call is about no image it ends with {DO_NOT_START_AGAIN}, and says `{WRONG}`",
    Meaning.ACCESS: "keeps the image as failed; when there is no access to any image, it ends "
    f"with {DO_NOT_START_AGAIN}, and none counts as failed",
    Meaning.PASSING: f"{TRIES}it goes on with the others and comes back to the image, "
    "`CARTEXT_TRIES` times in all, before it keeps it as failed. Where it is not about an image, "
    f"or every image fails, it {ENDS}",
    Meaning.OUTAGE: f"{TRIES}it {ENDS}",
    Meaning.EVERYBODY: f"ends with {DO_NOT_START_AGAIN} at once, and is not started again: "
    "nobody's request can succeed",
    Meaning.BUG: f"ends with {DO_NOT_START_AGAIN} at once, and is not started again",
}

HEAD = """\
# Errors

What AWS, or what stands between, may answer, and what follows from it. A code is the service's own
or the name of the SDK's error, as the log has it. In what the log says `{what}` stands for the call
and `{text}` for the service's own words. This page is made by `make docs`.

Once it is mended, `ansible-playbook run.yml -e run=NAME` goes on with the run, on a laptop the same
command as before. An image that has failed is looked at again by another run, with a new NAME. What
is no error of AWS says by itself what to do
([some of it](operations.md#a-worker-that-does-not-start)).

Rekognition's `InvalidS3ObjectException` hides several of these: S3 is asked for the image then, and
what that says counts. If S3 gives it, the log says
`not readable by Rekognition though it is there`: allow its key (`kms_key_arn`), or, where
the bucket's policy lets in some networks only, have the workers
[send it](aws.md#a-governed-account).

An error has one of these meanings. What no row names is passing: an error that nobody has foreseen
costs time, and never an image.

| meaning | the worker |
| --- | --- |
"""

CODES = """
| code | meaning | the log says | what you do |
| --- | --- | --- | --- |
"""


def text() -> str:
    """The page as it must be."""
    meanings = "".join(f"| {meaning.value} | {DOES[meaning]} |\n" for meaning in Meaning)
    return HEAD + meanings + CODES + "".join(map(_row, TABLE))


def _row(row: Row) -> str:
    codes = ", ".join(
        f"`{code}`" if re.fullmatch(r"[A-Z][\w.]+", code) else code for code in row.codes
    )
    says = re.sub(r"\{(\w+)[^}]*\}", r"{\1}", row.says)
    said = f"`{says}`"
    if row.meaning is Meaning.ACCESS and row.says != NO_ACCESS:
        said = f"`{NO_ACCESS}` of an image, else {said}"
    return f"| {codes} | {row.meaning.value} | {said} | {row.do} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text())
