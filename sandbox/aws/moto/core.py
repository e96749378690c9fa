"""What all services have in common."""

from __future__ import annotations

from typing import Any

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

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
