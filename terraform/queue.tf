locals {
  queues = merge(
    {
      index = "${var.project}-index"
      dead  = "${var.project}-index-dead"
    },
    # parts of the listing, which label workers share where the ledger that knows of them is shared
    local.has_ledger ? {
      parts      = "${var.project}-parts"
      parts_dead = "${var.project}-parts-dead"
    } : {},
  )

  # which queue's messages end in which
  dead_letters = merge({ index = "dead" }, local.has_ledger ? { parts = "parts_dead" } : {})

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

# Redrive is its own resource: a queue and its dead-letter queue name each other.
resource "aws_sqs_queue_redrive_policy" "this" {
  for_each = local.dead_letters

  queue_url = aws_sqs_queue.this[each.key].url

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.this[each.value].arn
    maxReceiveCount     = local.max_receives
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "this" {
  for_each = local.dead_letters

  queue_url = aws_sqs_queue.this[each.value].url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

moved {
  from = aws_sqs_queue_redrive_policy.index
  to   = aws_sqs_queue_redrive_policy.this["index"]
}

moved {
  from = aws_sqs_queue_redrive_allow_policy.dead
  to   = aws_sqs_queue_redrive_allow_policy.this["index"]
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
