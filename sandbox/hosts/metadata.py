"""Instance metadata (IMDSv2): who the asking instance is, and credentials of its role."""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from werkzeug import Request, Response

from sandbox.aws.server import REGION, Sandbox
from sandbox.aws.serving import Served

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - a header of that name
CREDENTIALS = "iam/security-credentials/"


class Metadata(Served):
    """The service of all instances: the asking address says which one wants to know."""

    def __init__(self, sandbox: Sandbox) -> None:
        # made once: a client costs more than all of its calls here
        self._ec2: EC2Client = sandbox.client("ec2")
        self._iam: IAMClient = sandbox.client("iam")
        self._sts: STSClient = sandbox.client("sts")
        self._tokens: dict[str, tuple[str, float]] = {}
        super().__init__(Request.application(self._answer), sandbox.host, 80)

    def _answer(self, request: Request) -> Response:
        address = request.remote_addr or ""
        if (request.method, request.path) == ("PUT", "/latest/api/token"):
            return self._new_token(address, request.headers.get(TTL_HEADER, ""))
        if request.method != "GET":
            return Response(status=404)
        owner, expires = self._tokens.get(request.headers.get(TOKEN_HEADER, ""), ("", 0.0))
        if owner != address or time.monotonic() > expires:
            return Response(status=401)
        content = self._metadata(address, request.path.removeprefix("/latest/meta-data/"))
        return Response(content, status=404 if content is None else 200)

    def _new_token(self, address: str, seconds: str) -> Response:
        if not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            return Response(status=400)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = (address, time.monotonic() + int(seconds))
        return Response(token, headers={TTL_HEADER: seconds})

    def _metadata(self, address: str, path: str) -> str | None:
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
