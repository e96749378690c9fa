locals {
  queues = {
    index = "${var.project}-index"
    dead  = "${var.project}-index-dead"
  }

  # An image that fails is committed as failed after a few tries. This many deliveries without a
  # result mean that workers died over it: generous, because each start in a long outage takes one.
  max_receives = 50
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = each.value
  message_retention_seconds  = 14 * 24 * 3600
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = 20

  tags = { Name = each.value }
}

# Redrive is its own resource: each of the two queues names the other.
resource "aws_sqs_queue_redrive_policy" "index" {
  queue_url = aws_sqs_queue.this["index"].url

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.this["dead"].arn
    maxReceiveCount     = local.max_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.this["dead"].url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this["index"].arn]
  })
}

data "aws_iam_policy_document" "tls_only" {
  for_each = local.queues

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.this[each.key].arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "tls_only" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].url
  policy    = data.aws_iam_policy_document.tls_only[each.key].json
}
