"""What is clever here for the sake of speed, each with what it saves; the requests stay the same.

The shares are of the CPU time of a call or an image, measured by `make bench` (docs/speed.md); what
a start saves is in milliseconds of its 300.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import threading
from base64 import b64encode
from contextlib import suppress
from copy import copy
from datetime import datetime
from email.policy import Compat32
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus, client
from pathlib import Path
from ssl import SSLContext
from typing import Any
from xml.etree import ElementTree

import botocore
from botocore import awsrequest, handlers, httpsession
from botocore.awsrequest import AWSHTTPSConnectionPool
from botocore.loaders import JSONFileLoader
from botocore.session import Session
from botocore.utils import parse_timestamp
from urllib3.exceptions import SSLError

CONFIG: dict[str, Any] = {
    # a tenth of a call: the settings and the services' own answers are all that goes into one
    "parameter_validation": False,
    # an eighth of a call: botocore would put its own together twice in each
    "user_agent": f"cartext Botocore/{botocore.__version__}",
}

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

MARK = b"the image"
MARK_IN_BODY = b64encode(MARK)


def speed_up(sdk: Session, *services: str) -> None:
    """Puts what follows into the clients of these services that this session makes."""
    loader = copy(sdk.get_component("data_loader"))
    loader.file_loader = Files()
    # else it looks through the folders of all four hundred that it knows: 25 ms of a start
    loader.list_available_services = lambda _: services
    sdk.register_component("data_loader", loader)
    sdk.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    sdk.register("provide-client-params.rekognition", _put_mark)
    sdk.register("before-call.rekognition", _replace_mark)
    # a listing is parsed once more to see whether it is an error with the status of an answer, a
    # seventh of a known key; read by what it must say, it would be found out all the same
    sdk.unregister("before-parse.s3.*", getattr(handlers, "_handle_200_error", None))
    # last, whatever is registered later: others look at the whole answer
    sdk.get_component("event_emitter").register_last("before-parse", _parse)
    kind = AWSHTTPSConnectionPool.ConnectionCls
    if not issubclass(kind, _Trusting):
        AWSHTTPSConnectionPool.ConnectionCls = type(kind.__name__, (_Trusting, kind), {})
    for module, name, ours in (
        (httpsession, "create_urllib3_context", ssl_context),
        (client, "parse_headers", parse_headers),
        (awsrequest, "_HeaderKey", header_name),
    ):
        setattr(module, name, ours)


class Files(JSONFileLoader):
    """Reads what is known of a service; botocore would make ordered dictionaries of it, which take
    more than twice as long as plain ones: 25 ms of a start.
    """

    def load_file(self, file_path: str) -> Any:
        for suffix, content in ((".json", bytes), (".json.gz", gzip.decompress)):
            with suppress(OSError):
                return json.loads(content(Path(file_path + suffix).read_bytes()))
        return None


def parse_time(value: Any) -> datetime:
    """A time in an answer, as botocore parses it, but the usual forms six times as fast.

    An image that is downloaded comes with one, which nobody reads.
    """
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(AttributeError, TypeError, ValueError):
            return parse(value)
    parsed: datetime = parse_timestamp(value)
    return parsed


# botocore makes an image's bytes a base64 string and has that escaped into JSON, character by
# character: two thirds of what the text worker does for an image of a megabyte. Here it writes a
# request with a mark of a few bytes, and the image takes the mark's place in the body.


def _put_mark(**event: Any) -> Any:
    params: dict[str, Any] = event["params"]
    image = params["Image"].get("Bytes")
    if image is None:
        return None
    event["context"]["image"] = image
    return {**params, "Image": {"Bytes": MARK}}


def _replace_mark(**event: Any) -> None:
    if image := event["context"].get("image"):
        before, after = event["params"]["body"].split(MARK_IN_BODY)
        event["params"]["body"] = b"".join((before, b64encode(image), after))


# botocore goes through an answer by the service's model, field by field. What follows goes through
# the two that are long, and leaves it the rest.


def _parse(**event: Any) -> None:
    model, answer = event["operation_model"], event["response_dict"]
    if answer["status_code"] != HTTPStatus.OK:
        return
    if model.service_model.service_name == "rekognition":
        event["customized_response_dict"].update(_json(answer))
    elif model.name == "ListObjectsV2":
        event["customized_response_dict"].update(_entries(answer))


def _json(answer: dict[str, Any]) -> dict[str, Any]:
    """Takes Rekognition's answer, whose 25 labels cost botocore as much as the rest of a call.

    What it makes of that JSON is that JSON, but for members that are null, which it leaves out.
    """
    if b"null" in answer["body"]:
        return {}
    body, answer["body"] = answer["body"], b"{}"
    taken: dict[str, Any] = json.loads(body)
    return taken


def _entries(answer: dict[str, Any]) -> dict[str, Any]:
    """Takes a page's keys out of a listing: with their times and all, two thirds of its cost."""
    try:
        page = ElementTree.fromstring(answer["body"])  # noqa: S314 - as botocore reads it
    except ElementTree.ParseError:
        return {}
    space = page.tag.removesuffix("ListBucketResult")
    entries = page.findall(f"{space}Contents")
    if not entries:
        return {}
    page[:] = [each for each in page if each.tag != f"{space}Contents"]
    answer["body"] = ElementTree.tostring(page)
    key, size, etag = (f"{space}{name}" for name in ("Key", "Size", "ETag"))
    return {
        "Contents": [
            {"Key": of.findtext(key), "Size": int(of.findtext(size, "")), "ETag": of.findtext(etag)}
            for of in entries
        ]
    }


# urllib3 has a client's SSL context read the file of authorities anew for every connection: 25 ms,
# in each of the threads that begin at the same time. Here all clients share a context, which reads
# a file once.

ssl_context = cache(httpsession.create_urllib3_context)


class _Trusting:
    """A connection whose context reads its authorities once."""

    ca_certs: str | None
    ssl_context: SSLContext

    def connect(self) -> None:
        with _reading:
            if self.ca_certs and (self.ssl_context, self.ca_certs) not in _have_read:
                try:
                    self.ssl_context.load_verify_locations(self.ca_certs)
                except OSError as error:
                    # as urllib3 does
                    raise SSLError(error) from error
                _have_read.add((self.ssl_context, self.ca_certs))
        self.ca_certs = None
        super().connect()  # type: ignore[misc]


_reading = threading.Lock()
_have_read: set[tuple[SSLContext, str]] = set()


# The standard library reads the headers of an answer as it would those of a mail, and botocore's
# dictionary of headers makes an object of a name at each look: together a twelfth of a call.


class _AsTheyCame(Compat32):
    """A mail's headers may hold broken characters and are searched for them; these cannot."""

    def header_fetch_parse(self, _: str, value: Any) -> Any:
        return value


def parse_headers(file: Any, _class: type[client.HTTPMessage] = client.HTTPMessage) -> Any:
    """The headers that come next in a file, as `http.client` has them."""
    lines = client._read_headers(file)  # type: ignore[attr-defined]
    message = _class(_AsTheyCame())
    for line in lines[:-1]:
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if not (colon and TOKEN.fullmatch(name)):
            # folded, or none at all
            return _as_a_mail(io.BytesIO(b"".join(lines)), _class)
        message.set_raw(name, value.lstrip(" \t").rstrip("\r\n"))
    return message


_as_a_mail = client.parse_headers


class _Name(str):
    """A header's name, in small letters; as a text it is as it came."""

    __slots__ = ("came_as",)
    came_as: str

    def __str__(self) -> str:
        return self.came_as


@lru_cache(1000)
def header_name(name: str) -> str:
    """A header's name as a key of botocore's dictionary, equal in any case."""
    key = _Name(name.lower())
    key.came_as = name
    return key
