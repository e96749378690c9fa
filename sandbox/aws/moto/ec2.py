"""EC2: an instance's network interfaces, and its monitoring."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.core.serialize import return_if_not_empty
from moto.ec2.models.instances import Instance
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.monitoring import Monitoring

from sandbox.aws.moto.patch import Before, replaces

# A stopped instance shows an empty association with a public address, where AWS shows none; the
# provider takes any for a public address.
EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER["InstanceNetworkInterface.Association"] = (
    return_if_not_empty
)


@replaces(Instance, "prep_nics")
def _tie_interfaces_to_the_instance(
    instance: Instance,
    prepare: Before,
    nic_spec: list[dict[str, Any]],
    *args: Any,
    **kwargs: Any,
) -> None:
    # A launch that asks for a public address does so by an interface specification. Its groups then
    # show on the interface and not on the instance; and the interface, which in AWS goes with the
    # instance unless told otherwise, stays for good and keeps its address.
    brought = {nic.get("NetworkInterfaceId") for nic in nic_spec}
    told = any("DeleteOnTermination" in nic for nic in nic_spec)
    prepare(instance, nic_spec, *args, **kwargs)
    for nic in instance.nics.values():
        if nic.id not in brought and not told:
            nic.delete_on_termination = True
    if not instance.security_groups:
        instance.security_groups = list(instance.nics[0].group_set)


# Neither operation is there, though the state that they set is.
@replaces(Monitoring, "monitor_instances")
def _monitor(response: Monitoring, _: Before) -> ActionResult:
    return _switch(response, "enabled")


@replaces(Monitoring, "unmonitor_instances")
def _unmonitor(response: Monitoring, _: Before) -> ActionResult:
    return _switch(response, "disabled")


def _switch(response: Monitoring, state: str) -> ActionResult:
    response.error_on_dryrun()
    ids = response._get_param("InstanceIds", [])
    instances = response.ec2_backend.get_multi_instances_by_id(ids)
    for instance in instances:
        instance.monitoring_state = state
    shown = [{"InstanceId": i.id, "Monitoring": {"State": state}} for i in instances]
    return ActionResult({"InstanceMonitorings": shown})
