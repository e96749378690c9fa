# Every value that cannot work is refused at plan, by the variable that must change.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bucket     = "photos"
  ssh_cidr   = "203.0.113.7/32"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExa me@example.org"
}

run "taken_for_something_else" {
  command = plan

  variables {
    bucket           = "s3://photos"
    public_key       = "-----BEGIN OPENSSH PRIVATE KEY-----"
    region           = "us-east-1a"
    project          = "CarText"
    prefix           = "/photos"
    instance_type    = "t3"
    instance_profile = "arn:aws:iam::123456789012:instance-profile/LabInstanceProfile"
    alarm_email      = "me"
    vpc_cidr         = "10.20.0.1/16"
    login_user       = "me@host"
    ssh_address      = "elastic"

    text_instance_type       = "c7g"
    permissions_boundary_arn = "boundary"
    expected_bucket_owner    = "me"
    extra_tags               = { Role = "worker" }
  }

  expect_failures = [
    var.bucket,
    var.public_key,
    var.region,
    var.project,
    var.prefix,
    var.instance_type,
    var.instance_profile,
    var.alarm_email,
    var.vpc_cidr,
    var.login_user,
    var.ssh_address,
    var.text_instance_type,
    var.permissions_boundary_arn,
    var.expected_bucket_owner,
    var.extra_tags,
  ]
}

# these are judged by the region and by the way of ssh, which must be right themselves
run "taken_for_something_else_here" {
  command = plan

  variables {
    ssh_cidr    = "203.0.113.7"
    kms_key_arn = "alias/photos"
    subnet_id   = "vpc-0123456789abcdef0"
  }

  expect_failures = [
    var.ssh_cidr,
    var.kms_key_arn,
    var.subnet_id,
  ]
}

run "too_little" {
  command = plan

  variables {
    quota                = 0
    budget_dollars       = -1
    label_workers        = 0
    text_workers         = 0
    root_volume_size_gib = 4
    data_volume_size_gib = 0
    retry_seconds        = 0
    idle_stop_minutes    = 10
    vpc_cidr             = "10.20.0.0/24"
    bucket               = "ab"
    project              = "a"
  }

  expect_failures = [
    var.quota,
    var.budget_dollars,
    var.label_workers,
    var.text_workers,
    var.root_volume_size_gib,
    var.data_volume_size_gib,
    var.retry_seconds,
    var.idle_stop_minutes,
    var.vpc_cidr,
    var.bucket,
    var.project,
  ]
}

run "too_much" {
  command = plan

  variables {
    quota                      = 10001
    label_workers              = 51
    text_workers               = 51
    root_volume_size_gib       = 1025
    data_volume_size_gib       = 16385
    visibility_timeout_seconds = 43201
    idle_stop_minutes          = 1445
    vpc_cidr                   = "10.0.0.0/8"
    project                    = "a123456789012345678901234567890"
    ssh_cidr                   = "203.0.0.0/15"
  }

  expect_failures = [
    var.quota,
    var.label_workers,
    var.text_workers,
    var.root_volume_size_gib,
    var.data_volume_size_gib,
    var.visibility_timeout_seconds,
    var.idle_stop_minutes,
    var.vpc_cidr,
    var.project,
    var.ssh_cidr,
  ]
}

run "halves_and_wildcards" {
  command = plan

  variables {
    label_workers              = 1.5
    text_workers               = 1.5
    root_volume_size_gib       = 10.5
    data_volume_size_gib       = 1.5
    visibility_timeout_seconds = 120.5
    idle_stop_minutes          = 62
    prefix                     = "photos/*"
    ssh_cidr                   = "0.0.0.0/1"
    region                     = "Ireland"
  }

  expect_failures = [
    var.label_workers,
    var.text_workers,
    var.root_volume_size_gib,
    var.data_volume_size_gib,
    var.visibility_timeout_seconds,
    var.idle_stop_minutes,
    var.prefix,
    var.ssh_cidr,
    var.region,
  ]
}

run "two_keys_and_an_hour_of_tries" {
  command = plan

  variables {
    key_name      = "mine"
    ssh_cidr      = "::/0"
    retry_seconds = 3601
    # whose Rekognition looks at faces only
    region = "ca-central-1"
  }

  expect_failures = [
    var.key_name,
    var.ssh_cidr,
    var.region,
    var.retry_seconds,
  ]
}

# none of these is judged by another one that is wrong
run "each_wrong_in_its_own_way" {
  command = plan

  variables {
    # no key
    public_key = null
    # ssh from nowhere
    ssh_cidr = null
    # a region without Rekognition
    region = "eu-north-1"
    # tries that outlast the hiding
    retry_seconds = 61
    # ten instances in a class account, a fleet without a ledger between it
    instance_profile = "LabInstanceProfile"
    label_workers    = 5
    text_workers     = 5
    shared_ledger    = false
  }

  expect_failures = [
    var.key_name,
    var.ssh_cidr,
    var.region,
    var.visibility_timeout_seconds,
    var.instance_profile,
    var.shared_ledger,
  ]
}

run "key_of_a_kind_that_ec2_refuses_and_public_addresses_in_a_subnet_of_somebody_else" {
  command = plan

  variables {
    public_key                 = "ecdsa-sha2-nistp256 AAAA me"
    visibility_timeout_seconds = 90
    subnet_id                  = "subnet-0123456789abcdef0"
  }

  expect_failures = [
    var.public_key,
    var.visibility_timeout_seconds,
    var.subnet_id,
  ]
}

run "open_port_that_nobody_needs_and_zone_of_another_region" {
  command = plan

  variables {
    ssh_address       = "session"
    availability_zone = "eu-west-1a"
  }

  expect_failures = [
    var.ssh_cidr,
    var.availability_zone,
  ]
}

run "zone_in_a_subnet_of_somebody_else" {
  command = plan

  variables {
    subnet_id         = "subnet-0123456789abcdef0"
    ssh_address       = "private"
    availability_zone = "us-east-1a"
  }

  expect_failures = [
    var.availability_zone,
  ]
}

run "region_that_does_not_fit" {
  command = plan

  override_data {
    target = data.aws_ec2_instance_type.worker
    values = {
      hypervisor              = "xen"
      bare_metal              = false
      supported_architectures = ["x86_64"]
    }
  }

  override_data {
    target = data.aws_ec2_instance_type_offerings.zones
    values = {
      locations = []
    }
  }

  expect_failures = [
    data.aws_ec2_instance_type.worker,
    data.aws_ec2_instance_type_offerings.zones,
  ]
}

run "zone_without_the_type" {
  command = plan

  variables {
    availability_zone = "us-east-1e"
  }

  expect_failures = [
    aws_subnet.workers,
  ]
}

run "types_that_no_zone_has_both_of" {
  command = plan

  variables {
    text_instance_type = "c7g.large"
  }

  override_data {
    target = data.aws_ec2_instance_type_offerings.zones["c7g.large"]
    values = {
      locations = ["us-east-1c"]
    }
  }

  override_data {
    target = data.aws_availability_zones.region
    values = {
      names = ["us-east-1a", "us-east-1b", "us-east-1c"]
    }
  }

  expect_failures = [
    aws_subnet.workers,
  ]
}

run "subnet_in_a_zone_without_the_type" {
  command = plan

  variables {
    subnet_id   = "subnet-0123456789abcdef0"
    ssh_address = "private"
  }

  override_data {
    target = data.aws_subnet.given
    values = {
      availability_zone = "us-east-1e"
    }
  }

  expect_failures = [
    data.aws_subnet.given,
  ]
}
