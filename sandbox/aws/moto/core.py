"""What all services have in common."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.sax.saxutils import unescape

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import (
    AccessDeniedError,
    InvalidClientTokenIdError,
    ServiceException,
    SignatureDoesNotMatchError,
)
from moto.core.responses import ActionResult, BaseResponse
from moto.iam.access_control import IAMRequest
from werkzeug.exceptions import HTTPException

from sandbox.aws.moto.patch import Before, replaces

COMMON_ERROR_CODES.append("NotImplemented")  # else moto warns that no service knows it


class _NotInMotoError(ServiceException):
    """Not of moto's packages: there, moto reads out of the path which service an error is of."""


@replaces(BaseResponse, "call_action")
def _name_what_is_missing(response: BaseResponse, call_action: Before) -> Any:
    # What moto lacks ends as a bare 500 without a name, which clients take for an outage and try
    # again for minutes. 501 is final, and the answer says which operation it was.
    try:
        return call_action(response)
    except NotImplementedError as error:
        missing = _NotInMotoError("NotImplemented", f"moto: {error}")
        _, headers, body = response.serialized(ActionResult(missing))
        return 501, headers, body


# what IAM's verdicts are called where they are said in JSON
JSON_CODES: dict[type[HTTPException], str] = {
    AccessDeniedError: "AccessDeniedException",
    InvalidClientTokenIdError: "UnrecognizedClientException",
    SignatureDoesNotMatchError: "InvalidSignatureException",
}


@replaces(BaseResponse, "_authenticate_and_authorize_normal_action")
def _refuse_in_the_callers_tongue(response: BaseResponse, _: Before, resource: str = "*") -> None:
    # IAM's verdict is said in EC2's XML, which no client of a JSON service reads, and not every one
    # of the others.
    try:
        response._authenticate_and_authorize_action(IAMRequest, resource)
    except HTTPException as error:
        if "X-Amz-Target" in response.headers and type(error) in JSON_CODES:
            text = re.search("<Message>(.*)</Message>", error.description or "")
            said = unescape(text[1]) if text else ""
            error.code = 400
            error.description = json.dumps({"__type": JSON_CODES[type(error)], "message": said})
        elif response.service_name != "ec2":
            error.description = re.sub("</?Errors>", "", error.description or "")
        raise
