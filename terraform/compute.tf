data "aws_ec2_instance_type" "worker" {
  for_each = local.instance_types

  instance_type = each.value

  lifecycle {
    postcondition {
      condition     = self.hypervisor == "nitro" || self.bare_metal
      error_message = "${each.value} is not of the Nitro system, on which the data disk is found by its volume id: take a newer type such as t3.small or t4g.small."
    }
  }
}

data "aws_ssm_parameter" "ami" {
  for_each = data.aws_ec2_instance_type.worker

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${
    contains(each.value.supported_architectures, "arm64") ? "arm64" : "x86_64"
  }"
}

resource "aws_key_pair" "operator" {
  count = var.public_key == null ? 0 : 1

  key_name   = var.project
  public_key = var.public_key
}

resource "aws_instance" "worker" {
  # checkov:skip=CKV_AWS_88:a public address costs less than a NAT gateway, and only ssh from one network comes in
  # checkov:skip=CKV2_AWS_41:the profile may be one that exists already (instance_profile)
  for_each = local.workers

  ami                         = data.aws_ssm_parameter.ami[each.value.role].insecure_value # public, and readable in the plan
  instance_type               = local.instance_types[each.value.role]
  subnet_id                   = local.subnet.id
  vpc_security_group_ids      = [aws_security_group.workers.id]
  associate_public_ip_address = local.makes_network # a subnet of one's own has its way out
  key_name                    = var.public_key == null ? var.key_name : aws_key_pair.operator[0].key_name
  iam_instance_profile        = local.makes_roles ? aws_iam_instance_profile.worker[each.value.role].name : var.instance_profile
  ebs_optimized               = true
  monitoring                  = true # one-minute figures: a run is often over in less than the usual five

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type           = "gp3"
    volume_size           = var.root_volume_size_gib
    encrypted             = true
    delete_on_termination = true
  }

  tags = {
    Name = "${var.project}-${each.key}"
    Role = each.value.role
  }

  # An organisation may refuse a disk without these; all other tags the provider gives the system disk after the
  # launch: https://github.com/hashicorp/terraform-provider-aws/issues/35639
  volume_tags = var.extra_tags

  lifecycle {
    # - volume_tags: they are the launch's, and are read back with those of the data disk
    # Neither of the others must replace a machine:
    # - ami: Amazon publishes a new image every other week, this one is at work. The new one comes with
    #   terraform apply -replace='aws_instance.worker["label-1"]'
    # - associate_public_ip_address: a stopped machine has no public address until it is started again
    ignore_changes = [ami, associate_public_ip_address, volume_tags]
  }

  # on destroy the workers stop first, while they can still give their messages back
  depends_on = [
    aws_iam_role_policy.worker,
    aws_route.internet,
    aws_route_table_association.workers,
    aws_vpc_security_group_egress_rule.https,
  ]
}
