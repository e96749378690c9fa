# What is done, shared by a fleet. A single pair keeps it on its own data
# disks and has no table, unless it was a fleet before (shared_ledger).
resource "aws_dynamodb_table" "ledger" {
  # checkov:skip=CKV_AWS_119:the account's own DynamoDB key does; a key of one's own costs a dollar a month and guards the same people's data
  count = local.has_ledger ? 1 : 0

  name         = "${var.project}-ledger"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  # it knows what has been paid for
  deletion_protection_enabled = var.ledger_protection

  server_side_encryption {
    enabled = true
  }

  point_in_time_recovery {
    enabled = true
  }

  tags = { Name = "${var.project}-ledger" }

  # What else only a fleet has goes after the table: where AWS refuses to delete that, all of it stays.
  depends_on = [
    aws_cloudwatch_metric_alarm.parts_dead_letters,
    aws_sqs_queue.this,
    aws_sqs_queue_policy.tls_only,
    aws_sqs_queue_redrive_allow_policy.this,
    aws_sqs_queue_redrive_policy.this,
    aws_vpc_endpoint.gateway,
  ]
}
