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
    ssh_cidr         = "203.0.113.7"
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
  }

  expect_failures = [
    var.bucket,
    var.ssh_cidr,
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
  ]
}

run "too_little" {
  command = plan

  variables {
    quota                = 0
    label_workers        = 0
    text_workers         = 0
    root_volume_size_gib = 4
    data_volume_size_gib = 0
    retry_seconds        = 0
    vpc_cidr             = "10.20.0.0/24"
    bucket               = "ab"
    project              = "a"
  }

  expect_failures = [
    var.quota,
    var.label_workers,
    var.text_workers,
    var.root_volume_size_gib,
    var.data_volume_size_gib,
    var.retry_seconds,
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
    vpc_cidr                   = "10.0.0.0/8"
    project                    = "a123456789012345678901234567890"
    ssh_cidr                   = "0.0.0.0/0"
  }

  expect_failures = [
    var.quota,
    var.label_workers,
    var.text_workers,
    var.root_volume_size_gib,
    var.data_volume_size_gib,
    var.visibility_timeout_seconds,
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
  }

  expect_failures = [
    var.key_name,
    var.ssh_cidr,
    var.retry_seconds,
  ]
}

run "no_key" {
  command = plan

  variables {
    public_key = null
  }

  expect_failures = [
    var.key_name,
  ]
}

run "key_of_a_kind_that_ec2_refuses" {
  command = plan

  variables {
    public_key                 = "ecdsa-sha2-nistp256 AAAA me"
    visibility_timeout_seconds = 90
  }

  expect_failures = [
    var.public_key,
    var.visibility_timeout_seconds,
  ]
}

run "tries_that_outlast_the_hiding" {
  command = plan

  variables {
    retry_seconds = 61
  }

  expect_failures = [
    var.visibility_timeout_seconds,
  ]
}

run "account_that_does_not_fit" {
  command = plan

  override_data {
    target = data.aws_s3_bucket.images
    values = {
      arn    = "arn:aws:s3:::photos"
      region = "eu-west-1"
    }
  }

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
    data.aws_s3_bucket.images,
    data.aws_ec2_instance_type.worker,
    data.aws_ec2_instance_type_offerings.zones,
  ]
}
