output "instances" {
  description = "Every worker by its name: what Ansible and people need to find it."

  value = {
    for key, instance in aws_instance.worker : key => {
      id                = instance.id
      name              = instance.tags.Name
      role              = local.workers[key].role
      private_ip        = instance.private_ip
      public_ip         = instance.public_ip
      availability_zone = instance.availability_zone
      data_volume_id    = aws_ebs_volume.data[key].id
    }
  }
}

output "project" {
  description = "Value of the tag Project on everything."
  value       = var.project
}

output "region" {
  description = "AWS region of everything."
  value       = var.region
}

output "bucket" {
  description = "Bucket with the images."
  value       = var.bucket
}

output "prefix" {
  description = "Only keys that begin with this are read."
  value       = var.prefix
}

output "queue_url" {
  description = "The index queue."
  value       = aws_sqs_queue.this["index"].url
}

output "dead_letter_queue_url" {
  description = "Where messages go that no text worker could finish."
  value       = aws_sqs_queue.this["dead"].url
}

output "parts_queue_url" {
  description = "The parts queue of a fleet's label workers; empty when each keeps its own ledger."
  value       = local.has_ledger ? aws_sqs_queue.this["parts"].url : ""
}

output "parts_dead_letter_queue_url" {
  description = "Where parts go that no label worker could finish, or empty."
  value       = local.has_ledger ? aws_sqs_queue.this["parts_dead"].url : ""
}

output "label_sender" {
  description = "Unique id of the label workers' role: nobody else sends in their name. Empty when Terraform makes no roles."
  value       = local.makes_roles ? aws_iam_role.worker["label"].unique_id : ""
}

output "ledger" {
  description = "URL of the ledger that the workers share; empty when each keeps its own."
  value       = local.has_ledger ? "dynamodb://${aws_dynamodb_table.ledger[0].name}" : ""
}

output "topic_arn" {
  description = "SNS topic of the alarms and of a run's news, to subscribe to; empty without alarm_email."
  value       = join("", local.topics)
}

output "quota" {
  description = "Rekognition calls a second that all workers of a kind share."
  value       = local.quota
}

output "budget_dollars" {
  description = "A run that may cost more does not start."
  value       = var.budget_dollars
}

output "expected_bucket_owner" {
  description = "Account that the bucket must belong to, or empty."
  value       = var.expected_bucket_owner == null ? "" : var.expected_bucket_owner
}

output "retry_seconds" {
  description = "How long a worker tries one call again."
  value       = var.retry_seconds
}

output "visibility_timeout_seconds" {
  description = "How long a received message stays hidden."
  value       = var.visibility_timeout_seconds
}

output "login_user" {
  description = "User for ssh."
  value       = var.login_user
}

output "public_key" {
  description = "Key that the login user lets in, when Terraform registered it; else empty."
  value       = var.public_key == null ? "" : trimspace(var.public_key)
}

output "ssh_address" {
  description = "What the instances are reached by: public, private or session."
  value       = var.ssh_address
}

output "ssh_proxy" {
  description = "Command that ssh goes through, or empty."
  value       = local.ssh_proxy
}

output "ssh_key_file" {
  description = "Path of the private key on the operator's machine, or empty."
  value       = var.ssh_key_file
}

output "ssh_commands" {
  description = "Opens a shell on each worker."
  value       = local.ssh_commands
}

output "log_commands" {
  description = "Follows each worker's log."
  value       = { for key, command in local.ssh_commands : key => "${command} journalctl -fu cartext-${local.workers[key].role}" }
}
