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
    condition     = aws_subnet.workers.cidr_block == "10.20.0.0/20" && aws_subnet.workers.availability_zone == "us-east-1a"
    error_message = "the first sixteenth of the network, in the first zone that fits"
  }

  assert {
    condition     = strcontains(data.aws_ssm_parameter.ami.name, "al2023-ami-kernel-default-x86_64")
    error_message = "the image is of the type's architecture"
  }

  assert {
    condition     = length(aws_iam_role.worker) == 2 && length(aws_key_pair.operator) == 1 && length(aws_sns_topic.alarms) == 0
    error_message = "a role a kind, the key registered, no topic without an address"
  }

  assert {
    condition     = output.instances["label-1"].shard == 0 && output.instances["text-1"].shard == null
    error_message = "label workers have a shard, text workers none"
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 0 && output.ledger == ""
    error_message = "a pair keeps its ledgers on its own disks"
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
    condition     = length(aws_ebs_volume.data) == 5 && length(aws_volume_attachment.data) == 5 && length(aws_cloudwatch_metric_alarm.instance_status) == 5
    error_message = "disk, attachment and alarm for each worker"
  }

  assert {
    condition     = length(aws_iam_role.worker) == 2
    error_message = "roles are per kind, not per worker"
  }

  assert {
    condition     = length(aws_dynamodb_table.ledger) == 1 && output.ledger == "dynamodb://${aws_dynamodb_table.ledger[0].name}"
    error_message = "a fleet shares one ledger"
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
    condition     = strcontains(data.aws_ssm_parameter.ami.name, "al2023-ami-kernel-default-arm64")
    error_message = "the image is of the type's architecture"
  }

  assert {
    condition     = length(aws_key_pair.operator) == 0 && aws_instance.worker["label-1"].key_name == "mine"
    error_message = "a named key is used and none registered"
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "me@example.org"
    error_message = "the address subscribes"
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
