"""What stands after `terraform apply`, asked of the account and not of the state."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.authorization import enable_iam_authentication

from sandbox.terraform import TerraformError, new_ssh_key
from tests.infra.conftest import BUCKET, KMS_KEY, PREFIX, SSH_CIDR, Stack, inventory
from tests.infra.test_least_privilege import REFUSALS, Worker
from tests.infra.test_policies import complaints, policies

PAIR = ["label-1", "text-1"]


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def queue_attributes(stack: Stack, output: str) -> dict[str, str]:
    return dict(
        stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["All"]
        )["Attributes"]
    )


def test_it_applies_within_three_minutes(stack: Stack) -> None:
    assert stack.seconds < 180


def test_a_second_plan_is_empty(stack: Stack) -> None:
    assert stack.terraform.pending_changes() == ""


@pytest.mark.parametrize("name", PAIR)
def test_instances_are_what_the_workers_need(stack: Stack, name: str) -> None:
    instance = stack.instance(name)
    role = name.partition("-")[0]
    assert tags_of(instance) == {
        "Project": "cartext",
        "Role": role,
        "Name": f"cartext-{name}",
        "ManagedBy": "terraform",
    }
    assert instance["InstanceType"] == "t3.small"
    assert instance["KeyName"] == "cartext"
    assert instance["IamInstanceProfile"]["Arn"].endswith(f"/cartext-{role}-us-east-1")
    assert instance["Monitoring"]["State"] == "enabled"
    assert instance["EbsOptimized"]
    assert instance["PublicIpAddress"]
    metadata = instance["MetadataOptions"]
    assert (metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"]) == ("required", 1)


def test_instances_boot_the_system_as_it_is(stack: Stack) -> None:
    ec2 = stack.client("ec2")
    for name in PAIR:
        reply = ec2.describe_instance_attribute(
            InstanceId=stack.instance(name)["InstanceId"], Attribute="userData"
        )
        assert not reply.get("UserData", {}).get("Value")


def test_addresses_are_the_subnets_own(stack: Stack) -> None:
    (subnet,) = stack.client("ec2").describe_subnets(
        Filters=[{"Name": "tag:Name", "Values": ["cartext-workers"]}]
    )["Subnets"]
    network = ipaddress.ip_network(subnet["CidrBlock"])
    addresses = {ipaddress.ip_address(stack.instance(name)["PrivateIpAddress"]) for name in PAIR}
    assert len(addresses) == 2
    assert addresses <= set(network.hosts())


def test_the_registered_key_can_be_read_back(stack: Stack) -> None:
    (key,) = stack.client("ec2").describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    assert key["PublicKey"].split()[:2] == stack.public_key.split()[:2]


@pytest.mark.parametrize("name", PAIR)
def test_disks_are_encrypted_and_sized(stack: Stack, name: str) -> None:
    instance = stack.instance(name)
    disks = {
        mapping["DeviceName"]: mapping["Ebs"]["VolumeId"]
        for mapping in instance["BlockDeviceMappings"]
    }
    data_id = stack.outputs["instances"][name]["data_volume_id"]
    assert disks["/dev/sdf"] == data_id
    volumes = stack.client("ec2").describe_volumes(VolumeIds=list(disks.values()))["Volumes"]
    assert [(v["Encrypted"], v["VolumeType"], v["Size"]) for v in volumes] == [
        (True, "gp3", 10)
    ] * 2
    (data,) = (volume for volume in volumes if volume["VolumeId"] == data_id)
    assert data["AvailabilityZone"] == instance["Placement"]["AvailabilityZone"]
    assert tags_of(data) == tags_of(instance)


def test_only_ssh_comes_in_and_only_https_goes_out(stack: Stack) -> None:
    groups = {id_["GroupId"] for name in PAIR for id_ in stack.instance(name)["SecurityGroups"]}
    assert len(groups) == 1
    (group,) = stack.client("ec2").describe_security_groups(GroupIds=list(groups))["SecurityGroups"]

    def rules(direction: str) -> list[tuple[Any, ...]]:
        return [
            (
                rule["IpProtocol"],
                rule["FromPort"],
                rule["ToPort"],
                [network["CidrIp"] for network in rule["IpRanges"]],
                rule["Ipv6Ranges"],
                rule["UserIdGroupPairs"],
            )
            for rule in group[direction]
        ]

    assert rules("IpPermissions") == [("tcp", 22, 22, [SSH_CIDR], [], [])]
    assert rules("IpPermissionsEgress") == [("tcp", 443, 443, ["0.0.0.0/0"], [], [])]


def test_the_default_group_is_empty(stack: Stack) -> None:
    (group,) = stack.client("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [stack.instance("label-1")["VpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])


def test_images_do_not_go_over_the_internet_gateway(stack: Stack) -> None:
    ec2 = stack.client("ec2")
    network = {"Name": "vpc-id", "Values": [stack.instance("label-1")["VpcId"]]}
    (endpoint,) = ec2.describe_vpc_endpoints(Filters=[network])["VpcEndpoints"]
    (table,) = ec2.describe_route_tables(
        Filters=[
            {"Name": "association.subnet-id", "Values": [stack.instance("text-1")["SubnetId"]]}
        ]
    )["RouteTables"]
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"], endpoint["RouteTableIds"]) == (
        "Gateway",
        "com.amazonaws.us-east-1.s3",
        [table["RouteTableId"]],
    )
    allowed = {
        (statement["Effect"], action, resource)
        for statement in json.loads(endpoint["PolicyDocument"])["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    ours = f"arn:aws:s3:::{BUCKET}"
    assert allowed == {
        *(
            ("Allow", f"s3:{call}", bucket)
            for call in ("GetObject", "ListBucket")
            for bucket in (ours, f"{ours}/*")
        ),
        ("Allow", "s3:GetObject", "arn:aws:s3:::al2023-repos-us-east-1-de612dc2/*"),
    }


def test_the_queue_keeps_hides_and_gives_up_as_agreed(stack: Stack) -> None:
    assert_well_kept(stack, "queue_url", "dead_letter_queue_url")


def assert_well_kept(stack: Stack, queue_output: str, dead_output: str) -> None:
    """A queue and its dead-letter queue."""
    queue, dead = queue_attributes(stack, queue_output), queue_attributes(stack, dead_output)
    for each in (queue, dead):
        assert each["MessageRetentionPeriod"] == str(14 * 24 * 3600)
        assert each["SqsManagedSseEnabled"] == "true"
        assert "FifoQueue" not in each
        (statement,) = json.loads(each["Policy"])["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "sqs:*")
        assert statement["Resource"] == each["QueueArn"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert queue["VisibilityTimeout"] == "120"
    assert json.loads(queue["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": 50,
    }
    assert json.loads(dead["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [queue["QueueArn"]],
    }


@pytest.mark.parametrize(
    ("role", "recognise", "queue"),
    [
        ("label", "DetectLabels", ["GetQueueAttributes", "SendMessage"]),
        (
            "text",
            "DetectText",
            ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage"],
        ),
    ],
)
def test_a_role_may_do_exactly_this(
    stack: Stack, role: str, recognise: str, queue: list[str]
) -> None:
    iam = stack.client("iam")
    name = f"cartext-{role}-us-east-1"
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["worker"]
    policy = iam.get_role_policy(RoleName=name, PolicyName="worker")["PolicyDocument"]
    statements = {statement.pop("Sid"): statement for statement in policy["Statement"]}
    statements["IndexQueue"]["Action"].sort()
    assert statements == {
        "ListImages": {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{BUCKET}",
            "Condition": {"StringLike": {"s3:prefix": f"{PREFIX}*"}},
        },
        "ReadImages": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/{PREFIX}*",
        },
        "DecryptImages": {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": KMS_KEY,
            "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
        },
        "Recognise": {
            "Effect": "Allow",
            "Action": f"rekognition:{recognise}",
            "Resource": "*",
        },
        "IndexQueue": {
            "Effect": "Allow",
            "Action": [f"sqs:{action}" for action in queue],
            "Resource": queue_attributes(stack, "queue_url")["QueueArn"],
        },
        "Tell": {
            "Effect": "Allow",
            "Action": "sns:Publish",
            "Resource": stack.outputs["topic_arn"],
        },
    }


def test_only_instances_may_take_the_roles(stack: Stack) -> None:
    for role in ("label", "text"):
        trust = stack.client("iam").get_role(RoleName=f"cartext-{role}-us-east-1")["Role"]
        (statement,) = trust["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_alarms_watch_queue_dead_letters_and_machines(stack: Stack) -> None:
    alarms = {
        alarm["AlarmName"]: (
            alarm["Namespace"],
            alarm["MetricName"],
            alarm["Dimensions"][0]["Value"],
            alarm["Threshold"],
        )
        for alarm in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    }
    assert alarms == {
        "cartext-oldest-message": (
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            "cartext-index",
            900,
        ),
        "cartext-dead-letters": (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            "cartext-index-dead",
            0,
        ),
        **{
            f"cartext-{name}-status": (
                "AWS/EC2",
                "StatusCheckFailed",
                stack.instance(name)["InstanceId"],
                0,
            )
            for name in PAIR
        },
        **{
            f"cartext-{name}-idle": (
                "AWS/EC2",
                "NetworkOut",
                stack.instance(name)["InstanceId"],
                40000,
            )
            for name in PAIR
        },
    }


def test_what_is_wrong_is_mailed_and_what_is_idle_is_stopped(stack: Stack) -> None:
    (topic,) = stack.client("sns").list_topics()["Topics"]
    (subscription,) = stack.client("sns").list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "me@example.org")
    assert stack.outputs["topic_arn"] == topic["TopicArn"]
    for alarm in stack.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        idle = alarm["AlarmName"].endswith("-idle")
        action = "arn:aws:automate:us-east-1:ec2:stop" if idle else topic["TopicArn"]
        assert (alarm["AlarmActions"], alarm["OKActions"]) == ([action], [])


def test_the_topic_hears_the_accounts_own_alarms_over_tls(stack: Stack) -> None:
    topic = stack.outputs["topic_arn"]
    attributes = stack.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    statements = json.loads(attributes["Policy"])["Statement"]
    shown = {
        each["Sid"]: (each["Effect"], each["Principal"], each["Condition"]) for each in statements
    }
    assert shown == {
        "Alarms": (
            "Allow",
            {"Service": "cloudwatch.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        ),
        "TlsOnly": ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}}),
    }
    assert {(each["Action"], each["Resource"]) for each in statements} == {("sns:Publish", topic)}


def test_the_dashboard_shows_what_there_is(stack: Stack) -> None:
    body = stack.client("cloudwatch").get_dashboard(DashboardName="cartext")["DashboardBody"]
    shown = {
        (metric[0], metric[3])
        for widget in json.loads(body)["widgets"]
        for metric in widget["properties"]["metrics"]
    }
    assert shown == {
        ("AWS/SQS", "cartext-index"),
        ("AWS/SQS", "cartext-index-dead"),
        ("AWS/Rekognition", "DetectLabels"),
        ("AWS/Rekognition", "DetectText"),
        *(("AWS/EC2", stack.instance(name)["InstanceId"]) for name in PAIR),
    }


def test_outputs_are_the_contract_with_ansible_and_people(stack: Stack) -> None:
    outputs = stack.outputs
    for name in PAIR:
        instance = stack.instance(name)
        role = name.partition("-")[0]
        assert outputs["instances"][name] == {
            "id": instance["InstanceId"],
            "name": f"cartext-{name}",
            "role": role,
            "private_ip": instance["PrivateIpAddress"],
            "public_ip": instance["PublicIpAddress"],
            "availability_zone": instance["Placement"]["AvailabilityZone"],
            "data_volume_id": outputs["instances"][name]["data_volume_id"],
        }
        ssh = f"ssh -o HostKeyAlias={instance['InstanceId']} ec2-user@{instance['PublicIpAddress']}"
        assert outputs["ssh_commands"][name] == ssh
        assert outputs["log_commands"][name] == f"{ssh} journalctl -fu cartext-{role}"
    assert {name: value for name, value in outputs.items() if not isinstance(value, dict)} == {
        "project": "cartext",
        "region": "us-east-1",
        "bucket": BUCKET,
        "prefix": PREFIX,
        "queue_url": stack.client("sqs").get_queue_url(QueueName="cartext-index")["QueueUrl"],
        "dead_letter_queue_url": stack.client("sqs").get_queue_url(QueueName="cartext-index-dead")[
            "QueueUrl"
        ],
        "parts_queue_url": "",
        "parts_dead_letter_queue_url": "",
        "label_sender": stack.client("iam").get_role(RoleName="cartext-label-us-east-1")["Role"][
            "RoleId"
        ],
        "ledger": "",
        "topic_arn": "arn:aws:sns:us-east-1:123456789012:cartext-alarms",
        "quota": 50,
        "budget_dollars": 20,
        "expected_bucket_owner": "",
        "ssh_address": "public",
        "retry_seconds": 60,
        "visibility_timeout_seconds": 120,
        "login_user": "ec2-user",
        "public_key": stack.public_key,
        "ssh_proxy": "",
        "ssh_key_file": "",
    }


# From here on the stack changes: the order of the tests below is part of them.


def test_a_replaced_instance_keeps_its_data_and_a_new_worker_disturbs_nobody(stack: Stack) -> None:
    before = stack.outputs["instances"]
    stack.apply('-replace=aws_instance.worker["label-1"]', label_workers=2)
    after = stack.outputs["instances"]
    assert sorted(after) == ["label-1", "label-2", "text-1"]
    assert after["label-1"]["id"] != before["label-1"]["id"]
    assert after["label-1"]["data_volume_id"] == before["label-1"]["data_volume_id"]
    assert after["text-1"] == before["text-1"]
    assert stack.outputs["ledger"] == "dynamodb://cartext-ledger"
    dynamodb = stack.client("dynamodb")
    table = dynamodb.describe_table(TableName="cartext-ledger")["Table"]
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    recovery = dynamodb.describe_continuous_backups(TableName="cartext-ledger")
    assert (
        recovery["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"][
            "PointInTimeRecoveryStatus"
        ]
        == "ENABLED"
    )
    (volume,) = stack.client("ec2").describe_volumes(
        VolumeIds=[before["label-1"]["data_volume_id"]]
    )["Volumes"]
    (attachment,) = volume["Attachments"]
    assert attachment["InstanceId"] == after["label-1"]["id"]
    assert stack.terraform.pending_changes() == ""


def test_a_fleet_reaches_its_ledger_without_the_internet_gateway(stack: Stack) -> None:
    (endpoint,) = stack.client("ec2").describe_vpc_endpoints(
        Filters=[{"Name": "service-name", "Values": ["com.amazonaws.us-east-1.dynamodb"]}]
    )["VpcEndpoints"]
    (statement,) = json.loads(endpoint["PolicyDocument"])["Statement"]
    table = stack.client("dynamodb").describe_table(TableName="cartext-ledger")["Table"]
    assert statement["Resource"] == [table["TableArn"]]


def test_its_label_workers_share_parts_by_a_queue_kept_like_the_other(stack: Stack) -> None:
    assert_well_kept(stack, "parts_queue_url", "parts_dead_letter_queue_url")
    cloudwatch = stack.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["cartext-parts-dead-letters"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "cartext-parts-dead"}]
    (topic,) = stack.client("sns").list_topics()["Topics"]
    assert alarm["AlarmActions"] == [topic["TopicArn"]]
    body = cloudwatch.get_dashboard(DashboardName="cartext")["DashboardBody"]
    assert {"cartext-parts", "cartext-parts-dead"} < set(re.findall(r"cartext-[\w-]+", body))


def test_the_linter_has_nothing_against_its_policies(stack: Stack) -> None:
    found = dict(policies(stack))
    assert len(found) == 7, "two roles, four queues and a topic"
    assert complaints(found) == {}


TABLE = {"TableName": "cartext-ledger"}
ITEM = {"pk": {"S": "/alive/label"}, "sk": {"S": "cartext-label-1"}}
RECEIPT = {"ReceiptHandle": "x"}
INSERTION = {
    "Statement": f"""INSERT INTO "{TABLE["TableName"]}" VALUE {{'pk': ?, 'sk': ?}}""",
    "Parameters": [*ITEM.values()],
}
# what a fleet's role has beside a pair's, and a call that needs it
OF_THE_TABLE = {
    "dynamodb:Query": (
        "query",
        {
            **TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": ITEM["pk"]},
        },
    ),
    "dynamodb:GetItem": ("get_item", {**TABLE, "Key": ITEM}),
    "dynamodb:BatchGetItem": (
        "batch_get_item",
        {"RequestItems": {TABLE["TableName"]: {"Keys": [ITEM]}}},
    ),
    "dynamodb:PartiQLInsert": (
        "batch_execute_statement",
        {"Statements": [INSERTION]},
    ),
    **{
        f"dynamodb:{action}Item": (
            "transact_write_items",
            {"TransactItems": [{action: {**TABLE, **more}}]},
        )
        for action, more in {
            "Put": {"Item": ITEM},
            "Update": {
                "Key": ITEM,
                "UpdateExpression": "SET seen = :now",
                "ExpressionAttributeValues": {":now": {"N": "1"}},
            },
            "ConditionCheck": {"Key": ITEM, "ConditionExpression": "attribute_exists(pk)"},
            "Delete": {"Key": ITEM},
        }.items()
    },
}
OF_THE_PARTS = {
    "sqs:SendMessage": ("send_message", {"MessageBody": "x"}),
    "sqs:ReceiveMessage": ("receive_message", {}),
    "sqs:ChangeMessageVisibility": (
        "change_message_visibility",
        {**RECEIPT, "VisibilityTimeout": 0},
    ),
    "sqs:DeleteMessage": ("delete_message", RECEIPT),
    "sqs:GetQueueAttributes": ("get_queue_attributes", {}),
}


@pytest.mark.parametrize("role", ["label", "text"])
def test_a_role_of_it_may_do_this_beside(stack: Stack, role: str, tmp_path: Path) -> None:
    worker = Worker(stack, role, tmp_path)
    session = boto3.session.Session(**worker.credentials(), region_name="us-east-1")

    def refused(service: str, call: str, arguments: dict[str, Any]) -> bool:
        client = session.client(service, endpoint_url=stack.sandbox.endpoint)
        try:
            with enable_iam_authentication():
                getattr(client, call)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"] in REFUSALS
        return False

    def of(output: str) -> list[tuple[str, str, dict[str, Any]]]:
        url = {"QueueUrl": stack.outputs[output]}
        return [("sqs", call, {**url, **more}) for call, more in OF_THE_PARTS.values()]

    needed = {name: ("dynamodb", *call) for name, call in OF_THE_TABLE.items()}
    if role == "label":
        needed |= dict(zip(OF_THE_PARTS, of("parts_queue_url"), strict=True))
    assert {name for name, call in needed.items() if refused(*call)} == set()
    for name, call in needed.items():
        with worker.without(name):
            assert refused(*call), name
    beside = [
        ("dynamodb", "scan", TABLE),
        ("dynamodb", "delete_table", TABLE),
        *of("parts_dead_letter_queue_url"),
        *(of("parts_queue_url") if role == "text" else []),
    ]
    assert [call for call in beside if not refused(*call)] == []
    # the sandbox does not know which table is asked for
    policy = stack.client("iam").get_role_policy(RoleName=worker.role_name, PolicyName="worker")
    resources = {s["Sid"]: s["Resource"] for s in policy["PolicyDocument"]["Statement"]}
    table = stack.client("dynamodb").describe_table(**TABLE)["Table"]
    assert resources["Ledger"] == table["TableArn"]


def machine(name: str, does: str) -> dict[str, str]:
    """What is planned for a machine with all that is its own."""
    resources = (
        "aws_instance.worker",
        "aws_ebs_volume.data",
        "aws_volume_attachment.data",
        "aws_cloudwatch_metric_alarm.idle",
        "aws_cloudwatch_metric_alarm.instance_status",
    )
    return {f'{resource}["{name}"]': does for resource in resources}


def test_machines_that_come_and_go_and_another_key_touch_no_other(
    stack: Stack, tmp_path: Path
) -> None:
    """Ansible brings the key to them."""
    more = {"shared_ledger": "true", "public_key": new_ssh_key(tmp_path)[1]}
    assert stack.planned(label_workers=1, text_workers=2, **more) == {
        **machine("label-2", "destroyed"),
        **machine("text-2", "created"),
        "aws_cloudwatch_dashboard.this": "updated",
        "aws_key_pair.operator[0]": "replaced",
    }


@pytest.mark.slow
def test_a_fleet_grows_and_shrinks(stack: Stack) -> None:
    def ids() -> dict[str, str]:
        return {name: worker["id"] for name, worker in stack.outputs["instances"].items()}

    stack.apply(label_workers=2, text_workers=2)
    small = ids()
    stack.apply(label_workers=3, text_workers=3)
    assert len(ids()) == 6
    assert ids().items() > small.items()
    stack.apply(label_workers=2, text_workers=2)
    assert ids() == small
    assert {stack.instance(name)["InstanceId"] for name in small} == set(small.values())
    assert stack.terraform.pending_changes() == ""


@pytest.mark.slow
def test_a_fleet_that_becomes_a_pair_keeps_its_ledger(stack: Stack) -> None:
    before = inventory(stack.sandbox)
    with pytest.raises(TerraformError, match="DeletionProtectionEnabled"):
        stack.apply(label_workers=1, text_workers=1)
    left = inventory(stack.sandbox)
    lost = set(before["alarms"]) - set(left["alarms"])
    assert all(re.match("cartext-(label|text)-[2-9]-", alarm) for alarm in lost), "of machines"
    for kind in ("endpoints", "queues"):
        assert left[kind] == before[kind], "the label worker has need of it"
    assert_well_kept(stack, "parts_queue_url", "parts_dead_letter_queue_url")
    stack.apply(shared_ledger=True)
    assert sorted(stack.outputs["instances"]) == PAIR
    assert stack.outputs["ledger"] == "dynamodb://cartext-ledger"
    assert stack.client("dynamodb").describe_table(TableName="cartext-ledger")
    assert stack.terraform.pending_changes() == ""


def test_what_a_version_before_called_otherwise_is_not_made_anew(stack: Stack) -> None:
    names = {
        "aws_vpc_endpoint.s3": 'aws_vpc_endpoint.gateway["s3"]',
        "aws_sqs_queue_redrive_policy.index": 'aws_sqs_queue_redrive_policy.this["index"]',
        "aws_sqs_queue_redrive_allow_policy.dead": (
            'aws_sqs_queue_redrive_allow_policy.this["index"]'
        ),
    }
    state = stack.terraform.folder / "terraform.tfstate"
    today = state.read_bytes()
    try:
        for before, now in names.items():
            move = ["terraform", f"-chdir={stack.terraform.folder}", "state", "mv", now, before]
            subprocess.run(move, env=stack.terraform.environment, check=True, capture_output=True)
        assert stack.planned() == {}
    finally:
        state.write_bytes(today)


def test_a_zone_that_is_full_is_left_for_another(stack: Stack) -> None:
    planned = stack.planned(availability_zone="us-east-1b")
    for made_anew in ("aws_subnet.workers[0]", *(f'aws_ebs_volume.data["{n}"]' for n in PAIR)):
        assert planned[made_anew] == "replaced"


def test_a_stopped_instance_is_waited_for_and_not_replaced(stack: Stack) -> None:
    """A class account's lab stops its instances overnight, and their public addresses go."""
    stack.client("ec2").stop_instances(InstanceIds=[stack.instance("text-1")["InstanceId"]])
    assert "forces replacement" not in stack.terraform.pending_changes()


def test_destroy_leaves_nothing_but_the_bucket_and_the_data_snapshots(stack: Stack) -> None:
    workers = stack.outputs["instances"]
    stack.apply(ledger_protection=False)
    stack.terraform.destroy()
    left = inventory(stack.sandbox)
    snapshots = set(left.pop("snapshots")) - set(stack.before["snapshots"])
    assert left == {kind: names for kind, names in stack.before.items() if kind != "snapshots"}
    ec2 = stack.client("ec2")
    kept = ec2.describe_snapshots(SnapshotIds=sorted(snapshots))["Snapshots"]
    assert {s["VolumeId"] for s in kept} >= {w["data_volume_id"] for w in workers.values()}
    # of machines that went before as well
    assert {tags_of(s)["Name"] for s in kept} >= {w["name"] for w in workers.values()}
    assert stack.client("s3").head_bucket(Bucket=BUCKET)
