"""Instance metadata (IMDSv2): who the asking instance is, and credentials of its role."""

from __future__ import annotations

import json
import secrets
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sandbox.server import REGION, Sandbox

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - a header of that name
CREDENTIALS = "iam/security-credentials/"


class Metadata:
    """The service of all instances: the asking address says which one wants to know."""

    def __init__(self, sandbox: Sandbox, host: str, port: int = 80) -> None:
        # made once: a client costs more than all of its calls here
        self._ec2: EC2Client = sandbox.client("ec2")
        self._iam: IAMClient = sandbox.client("iam")
        self._sts: STSClient = sandbox.client("sts")
        self._tokens: dict[str, tuple[str, float]] = {}
        handler = type("Handler", (_Handler,), {"metadata": self})
        self._server = ThreadingHTTPServer((host, port), handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="metadata", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, address: str, seconds: int) -> str:
        """A session token for the instance at `address`."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (address, time.monotonic() + seconds)
        return token

    def allows(self, address: str, token: str) -> bool:
        """Whether the token was given to this address and still holds."""
        owner, expires = self._tokens.get(token, ("", 0.0))
        return owner == address and time.monotonic() < expires

    def answer(self, address: str, path: str) -> str | None:
        """What stands under `path` below meta-data/ for that instance; None when nothing does."""
        instance = self._instance(address)
        if instance is None:
            return None
        if path.startswith(CREDENTIALS):
            return self._credentials(instance, path.removeprefix(CREDENTIALS))
        return {
            "instance-id": instance["InstanceId"],
            "instance-type": instance["InstanceType"],
            "local-ipv4": instance["PrivateIpAddress"],
            "placement/availability-zone": instance["Placement"]["AvailabilityZone"],
            "placement/region": REGION,
        }.get(path)

    def _instance(self, address: str) -> InstanceTypeDef | None:
        at_address: list[FilterTypeDef] = [
            {"Name": "private-ip-address", "Values": [address]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping"]},
        ]
        found = self._ec2.describe_instances(Filters=at_address)["Reservations"]
        return found[0]["Instances"][0] if found else None

    def _credentials(self, instance: InstanceTypeDef, name: str) -> str | None:
        """The profile's role's name, or, asked with that name, its credentials as JSON."""
        if "IamInstanceProfile" not in instance:
            return None
        profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        role = self._iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"][
            "Roles"
        ][0]
        if not name:
            return str(role["RoleName"])
        if name != role["RoleName"]:
            return None
        given = self._sts.assume_role(RoleArn=role["Arn"], RoleSessionName=instance["InstanceId"])[
            "Credentials"
        ]
        return json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": _timestamp(datetime.now(UTC)),
                "AccessKeyId": given["AccessKeyId"],
                "SecretAccessKey": given["SecretAccessKey"],
                "Token": given["SessionToken"],
                "Expiration": _timestamp(given["Expiration"]),
            }
        )


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Handler(BaseHTTPRequestHandler):
    metadata: Metadata

    def do_PUT(self) -> None:
        seconds = self.headers.get(TTL_HEADER, "")
        if self.path != "/latest/api/token":
            self._say(404)
        elif not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            self._say(400)
        else:
            token = self.metadata.token(self.client_address[0], int(seconds))
            self._say(200, token, {TTL_HEADER: seconds})

    def do_GET(self) -> None:
        address = self.client_address[0]
        if not self.metadata.allows(address, self.headers.get(TOKEN_HEADER, "")):
            self._say(401)
            return
        path = self.path.removeprefix("/latest/meta-data/")
        content = self.metadata.answer(address, path)
        self._say(404 if content is None else 200, content or "")

    def _say(self, status: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
