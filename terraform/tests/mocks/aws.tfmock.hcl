# What the data sources find in the account of these tests; everything else is made up by Terraform.

mock_data "aws_availability_zones" {
  defaults = {
    names = ["us-east-1a", "us-east-1b"]
  }
}

mock_data "aws_ec2_instance_type_offerings" {
  defaults = {
    locations = ["us-east-1a", "us-east-1b"]
  }
}

mock_data "aws_ec2_instance_type" {
  defaults = {
    hypervisor              = "nitro"
    bare_metal              = false
    supported_architectures = ["x86_64"]
  }
}

mock_data "aws_partition" {
  defaults = {
    partition  = "aws"
    dns_suffix = "amazonaws.com"
  }
}

mock_data "aws_subnet" {
  defaults = {
    availability_zone = "us-east-1b"
  }
}

mock_data "aws_iam_policy_document" {
  defaults = {
    json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:us-east-1:123456789012:cartext-index"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:us-east-1:123456789012:cartext-alarms"
  }
}
