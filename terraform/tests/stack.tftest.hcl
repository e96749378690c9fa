# What is planned for what is asked.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bucket     = "photos"
  ssh_cidr   = "203.0.113.7/32"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExa me@example.org"
}

run "pair" {
  assert {
    condition     = join(" ", keys(aws_instance.worker)) == "label-1 text-1"
    error_message = "one worker of each kind by default"
  }

  assert {
    condition     = aws_instance.worker["label-1"].tags == tomap({ Name = "cartext-label-1", Role = "label" })
    error_message = "Ansible finds workers by these tags"
  }

  assert {
    condition     = aws_ebs_volume.data["text-1"].tags == tomap({ Name = "cartext-text-1", Role = "text" })
    error_message = "a data disk carries its worker's tags"
  }

  assert {
    condition     = alltrue([for volume in aws_ebs_volume.data : volume.encrypted && volume.final_snapshot])
    error_message = "data disks are encrypted and leave a snapshot"
  }

  assert {
    condition     = aws_subnet.workers[0].cidr_block == "10.20.0.0/20" && aws_subnet.workers[0].availability_zone == "us-east-1a"
    error_message = "the first sixteenth of the network, in the first zone that fits"
  }

  assert {
    condition     = alltrue([for ami in data.aws_ssm_parameter.ami : strcontains(ami.name, "al2023-ami-kernel-default-x86_64")])
    error_message = "the image is of the type's architecture"
  }

  assert {
    condition     = length(aws_iam_role.worker) == 2 && length(aws_key_pair.operator) == 1 && length(aws_sns_topic.alarms) == 0 && output.topic_arn == ""
    error_message = "a role a kind, the key registered, no topic without an address"
  }

  assert {
    condition     = alltrue([for policy in data.aws_iam_policy_document.worker : !contains(policy.statement[*].sid, "Tell")])
    error_message = "without an address no worker may publish anything"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[2].properties.stat == "Sum"
    error_message = "Rekognition's metrics have sums and averages, no counts of samples"
  }

  assert {
    condition     = output.quota == 50
    error_message = "AWS's default in us-east-1"
  }

  assert {
    condition     = output.label_sender == aws_iam_role.worker["label"].unique_id
    error_message = "the text workers know the label workers' role"
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 0 && output.ledger == ""
    error_message = "a pair keeps its ledgers on its own disks"
  }

  assert {
    condition     = join(" ", keys(aws_sqs_queue.this)) == "dead index" && output.parts_queue_url == "" && output.parts_dead_letter_queue_url == ""
    error_message = "a pair's label worker has nobody to share parts with"
  }

  assert {
    condition     = output.budget_dollars == 20 && output.ssh_proxy == "" && output.expected_bucket_owner == ""
    error_message = "a budget by default, ssh without a proxy, any owner"
  }

  assert {
    condition     = alltrue([for alarm in [aws_cloudwatch_metric_alarm.dead_letters, aws_cloudwatch_metric_alarm.oldest_message] : alarm.ok_actions == null])
    error_message = "what is well is not mailed: each alarm would be, at the first apply"
  }

  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.idle :
      alarm.dimensions == tomap({ InstanceId = output.instances[key].id }) && alarm.period * alarm.evaluation_periods == 3600
    ])
    error_message = "each machine is judged by itself, over an hour"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.idle : alarm.alarm_actions == toset(["arn:aws:automate:us-east-1:ec2:stop"])])
    error_message = "it is stopped, and nobody is mailed"
  }
}

run "machines_that_stand" {
  command = plan

  variables {
    idle_stop_minutes = 0
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.idle) == 0
    error_message = "nothing stops them"
  }
}

run "fleet" {
  command = plan

  variables {
    label_workers = 3
    text_workers  = 2
  }

  assert {
    condition     = join(" ", keys(aws_instance.worker)) == "label-1 label-2 label-3 text-1 text-2"
    error_message = "counts scale, and each kind counts by itself"
  }

  assert {
    condition     = length(aws_ebs_volume.data) == 5 && length(aws_volume_attachment.data) == 5 && length(aws_cloudwatch_metric_alarm.instance_status) == 5 && length(aws_cloudwatch_metric_alarm.idle) == 5
    error_message = "disk, attachment and alarms for each worker"
  }

  assert {
    condition     = length(aws_iam_role.worker) == 2
    error_message = "roles are per kind, not per worker"
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 1 && output.ledger == "dynamodb://${aws_dynamodb_table.ledger[0].name}"
    error_message = "a fleet shares one ledger"
  }

  assert {
    condition     = join(" ", [for queue in aws_sqs_queue.this : queue.name]) == "cartext-index-dead cartext-index cartext-parts cartext-parts-dead"
    error_message = "its label workers share parts by a queue of their own"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.parts_dead_letters) == 1 && length(aws_sqs_queue_redrive_policy.this) == 2 && length(aws_sqs_queue_redrive_allow_policy.this) == 2 && length(aws_sqs_queue_policy.tls_only) == 4
    error_message = "the parts queue is kept as carefully as the index queue"
  }

  assert {
    condition     = aws_dynamodb_table.ledger[0].deletion_protection_enabled && join(" ", keys(aws_vpc_endpoint.gateway)) == "dynamodb s3"
    error_message = "the ledger is protected, and reached without the internet gateway"
  }
}

run "pair_that_was_a_fleet" {
  command = plan

  variables {
    shared_ledger = true
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 1 && output.ledger == "dynamodb://cartext-ledger"
    error_message = "the table stays, and is the pair's ledger"
  }

  assert {
    condition     = contains(keys(aws_sqs_queue.this), "parts")
    error_message = "parts that are under way stay with it"
  }
}

run "text_workers_of_a_type_of_their_own" {
  command   = plan
  state_key = "text_workers_of_a_type_of_their_own"

  variables {
    text_instance_type = "c7g.large"
  }

  override_data {
    target = data.aws_ec2_instance_type.worker["text"]
    values = {
      hypervisor              = "nitro"
      bare_metal              = false
      supported_architectures = ["arm64"]
    }
  }

  override_data {
    target = data.aws_ec2_instance_type_offerings.zones["c7g.large"]
    values = {
      locations = ["us-east-1b", "us-east-1c"]
    }
  }

  assert {
    condition     = aws_instance.worker["label-1"].instance_type == "t3.small" && aws_instance.worker["text-1"].instance_type == "c7g.large"
    error_message = "each kind is of its type"
  }

  assert {
    condition     = strcontains(data.aws_ssm_parameter.ami["label"].name, "x86_64") && strcontains(data.aws_ssm_parameter.ami["text"].name, "arm64")
    error_message = "each kind has the image of its architecture"
  }

  assert {
    condition     = aws_subnet.workers[0].availability_zone == "us-east-1b"
    error_message = "the first zone that has both types"
  }
}

run "another_zone" {
  command   = plan
  state_key = "another_zone"

  variables {
    availability_zone = "us-east-1b"
  }

  assert {
    condition     = aws_subnet.workers[0].availability_zone == "us-east-1b"
    error_message = "the zone that was asked for"
  }
}

run "governed_account" {
  state_key = "governed_account"

  variables {
    subnet_id                = "subnet-0123456789abcdef0"
    ssh_cidr                 = null
    ssh_address              = "session"
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    extra_tags               = { CostCentre = "4711" }
    expected_bucket_owner    = "123456789012"
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.workers) + length(aws_internet_gateway.this) + length(aws_vpc_endpoint.gateway) + length(aws_route.internet) == 0
    error_message = "no network is made"
  }

  assert {
    condition     = aws_instance.worker["label-1"].volume_tags == tomap({ CostCentre = "4711" })
    error_message = "a machine is launched with its system disk's tags: a rule of the organisation may ask for them"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.ssh) == 0
    error_message = "nothing comes in"
  }

  assert {
    condition     = alltrue([for worker in aws_instance.worker : !worker.associate_public_ip_address && worker.subnet_id == data.aws_subnet.given[0].id])
    error_message = "the workers are in the given subnet and have no public address"
  }

  assert {
    condition     = alltrue([for disk in aws_ebs_volume.data : disk.availability_zone == "us-east-1b"])
    error_message = "the data disks are in the subnet's zone"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.worker : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "every role is within the boundary"
  }

  assert {
    condition     = output.ssh_address == "session"
    error_message = "Ansible is told what an instance is reached by"
  }

  assert {
    condition     = output.log_commands["label-1"] == "ssh -o ProxyCommand='aws ssm start-session --region us-east-1 --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p' -o HostKeyAlias=${output.instances["label-1"].id} ec2-user@${output.instances["label-1"].id} journalctl -fu cartext-label"
    error_message = "the log command goes through Session Manager"
  }
}

run "arm_with_an_existing_key_and_alarms_by_mail" {
  command = plan

  variables {
    instance_type = "t4g.small"
    public_key    = null
    key_name      = "mine"
    alarm_email   = "me@example.org"
  }

  override_data {
    target = data.aws_ec2_instance_type.worker
    values = {
      hypervisor              = "nitro"
      bare_metal              = false
      supported_architectures = ["arm64"]
    }
  }

  assert {
    condition     = alltrue([for ami in data.aws_ssm_parameter.ami : strcontains(ami.name, "al2023-ami-kernel-default-arm64")])
    error_message = "the image is of the type's architecture"
  }

  assert {
    condition     = length(aws_key_pair.operator) == 0 && aws_instance.worker["label-1"].key_name == "mine"
    error_message = "a named key is used and none registered"
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "me@example.org" && length(aws_sns_topic_policy.alarms) == 1
    error_message = "the address subscribes, to a topic with a policy"
  }

  assert {
    condition     = alltrue([for policy in data.aws_iam_policy_document.worker : contains(policy.statement[*].sid, "Tell")])
    error_message = "the workers may tell it how a run ended"
  }
}

run "region_with_a_small_quota" {
  variables {
    region = "eu-central-1"
  }

  assert {
    condition     = output.quota == 5
    error_message = "AWS allows 5 calls a second there, and 50 in three regions"
  }
}

run "private_addresses" {
  variables {
    ssh_address  = "private"
    ssh_key_file = "~/.ssh/mine.pem"
    login_user   = "admin"
  }

  assert {
    condition     = endswith(output.ssh_commands["label-1"], "admin@${output.instances["label-1"].private_ip}")
    error_message = "ssh goes to the private address"
  }

  assert {
    condition     = startswith(output.log_commands["text-1"], "ssh -i ~/.ssh/mine.pem -o HostKeyAlias=${output.instances["text-1"].id} ") && endswith(output.log_commands["text-1"], " journalctl -fu cartext-text")
    error_message = "the log command is complete"
  }
}
