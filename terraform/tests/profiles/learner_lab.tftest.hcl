# A class account may not create roles. Run with -test-directory=tests/profiles and the profile's -var-file.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bucket   = "photos"
  ssh_cidr = "203.0.113.7/32"
}

run "learner_lab" {
  command = plan

  assert {
    condition     = output.label_sender == ""
    error_message = "one role for both kinds does not tell them apart"
  }

  assert {
    condition     = length(aws_iam_role.worker) == 0 && length(aws_iam_role_policy.worker) == 0 && length(aws_iam_instance_profile.worker) == 0
    error_message = "no IAM resource"
  }

  assert {
    condition     = length(aws_key_pair.operator) == 0
    error_message = "no key is registered"
  }

  assert {
    condition = alltrue([
      for worker in aws_instance.worker :
      worker.iam_instance_profile == "LabInstanceProfile" && worker.key_name == "vockey" && worker.instance_type == "t3.small"
    ])
    error_message = "the lab's own profile and key"
  }

  assert {
    condition     = output.budget_dollars == 2
    error_message = "no more images than the lab's thousand label detections"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.idle) == 0
    error_message = "what the lab may not let an alarm do is not asked for"
  }
}
