"""Repairs to moto 5.2, so that Terraform's HCL applies, settles and is destroyed as it is in AWS.

Each fix is one function whose comment names the fault; where moto has none any more, drop its fix.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.serialize import return_if_not_empty
from moto.ec2.models.instances import Instance
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.monitoring import Monitoring
from moto.sqs.models import Queue

from sandbox import moto_iam
from sandbox.moto_iam import replace


@functools.cache
def install() -> None:
    """Puts all fixes in place, once a process."""
    _name_what_is_missing()
    _keep_queue_policies()
    _tie_interfaces_to_instances()
    _show_the_loss_of_the_public_address()
    _answer_monitoring()
    moto_iam.install()


class _NotInMotoError(ServiceException):
    """Not of moto's packages: there, moto reads out of the path which service an error is of."""


def _name_what_is_missing() -> None:
    # What moto lacks ends as a bare 500 without a name, which clients take for an outage and try
    # again for minutes. 501 is final, and the answer says which operation it was.
    call_action = BaseResponse.call_action
    COMMON_ERROR_CODES.append("NotImplemented")  # else moto warns that no service knows it

    def call(self: BaseResponse) -> Any:
        try:
            return call_action(self)
        except NotImplementedError as error:
            missing = _NotInMotoError("NotImplemented", f"moto: {error}")
            _, headers, body = self.serialized(ActionResult(missing))
            return 501, headers, body

    replace(BaseResponse, call_action=call)


def _keep_queue_policies() -> None:
    # RedriveAllowPolicy is taken and never shown; Policy is forgotten whenever another attribute is
    # set; a policy that was taken away shows as an empty text; RedrivePolicy has blanks that AWS
    # does not write, and the provider compares texts.
    set_attributes: Callable[..., None] = Queue._set_attributes
    attributes: Callable[[Queue], dict[str, Any]] = vars(Queue)["attributes"].fget

    def remember(self: Queue, new: dict[str, Any], now: float | None = None) -> None:
        set_attributes(self, {"Policy": getattr(self, "policy", None), **new}, now)

    def show(self: Queue) -> dict[str, Any]:
        shown = attributes(self)
        if self.redrive_policy:
            shown["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
        return {name: value for name, value in shown.items() if value != ""}

    replace(
        Queue,
        BASE_ATTRIBUTES=[*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"],
        redrive_allow_policy=None,
        _set_attributes=remember,
        attributes=property(show),
    )


def _tie_interfaces_to_instances() -> None:
    # A launch that asks for a public address does so by an interface specification. Its groups then
    # show on the interface and not on the instance; and the interface, which in AWS goes with the
    # instance unless told otherwise, stays for good and keeps its address.
    prepare: Callable[..., None] = Instance.prep_nics

    def tie(self: Instance, nic_spec: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
        brought = {nic.get("NetworkInterfaceId") for nic in nic_spec}
        told = any("DeleteOnTermination" in nic for nic in nic_spec)
        prepare(self, nic_spec, *args, **kwargs)
        for nic in self.nics.values():
            if nic.id not in brought and not told:
                nic.delete_on_termination = True
        if not self.security_groups:
            self.security_groups = list(self.nics[0].group_set)

    replace(Instance, prep_nics=tie)


def _show_the_loss_of_the_public_address() -> None:
    # A stopped instance shows an empty association with a public address, where AWS shows none; the
    # provider takes any for a public address.
    EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER["InstanceNetworkInterface.Association"] = (
        return_if_not_empty
    )


def _answer_monitoring() -> None:
    # Neither operation is there, though the state that they set is.
    def switch(state: str) -> Callable[[Monitoring], ActionResult]:
        def answer(self: Monitoring) -> ActionResult:
            self.error_on_dryrun()
            ids = self._get_param("InstanceIds", [])
            instances = self.ec2_backend.get_multi_instances_by_id(ids)
            for instance in instances:
                instance.monitoring_state = state
            shown = [{"InstanceId": i.id, "Monitoring": {"State": state}} for i in instances]
            return ActionResult({"InstanceMonitorings": shown})

        return answer

    replace(Monitoring, monitor_instances=switch("enabled"))
    replace(Monitoring, unmonitor_instances=switch("disabled"))
