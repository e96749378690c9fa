# One topic, so that an address is confirmed once: for the alarms, and for the workers' news of a run.
resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26:CloudWatch cannot publish under the AWS-managed key; a key of one's own costs a dollar a month, for messages that name a queue
  count = var.alarm_email == null ? 0 : 1

  name = "${var.project}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

data "aws_iam_policy_document" "topic" {
  count = var.alarm_email == null ? 0 : 1

  # a policy of one's own replaces the one by which everybody of the account may do everything
  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = local.topics

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [aws_sns_topic.alarms[0].owner]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = local.topics

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

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  arn    = aws_sns_topic.alarms[0].arn
  policy = data.aws_iam_policy_document.topic[0].json
}

# Of alarms, only what is wrong is mailed: an action for "ok" would send one for each at the first apply.
locals {
  topics = aws_sns_topic.alarms[*].arn
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  alarm_name          = "${var.project}-oldest-message"
  alarm_description   = "An index has waited a quarter of an hour: no text worker is at work, or it cannot keep up (text_instance_type). Look at its log."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.this["index"].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 900
  treat_missing_data  = "notBreaching" # SQS falls silent when a queue has not been used for hours
  alarm_actions       = local.topics
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.project}-dead-letters"
  alarm_description   = "Messages were given up after ${local.max_receives} deliveries: text workers died over them. Their bodies are the indexes."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.this["dead"].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
}

# Parts wait for as long as a run goes on: how old one is says nothing.
resource "aws_cloudwatch_metric_alarm" "parts_dead_letters" {
  count = local.has_ledger ? 1 : 0

  alarm_name          = "${var.project}-parts-dead-letters"
  alarm_description   = "Parts of a listing were given up after ${local.max_receives} deliveries: label workers died over them, and their run does not end. Look at the label workers' logs, mend the cause and move the messages back."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.this["parts_dead"].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.topics
}

resource "aws_cloudwatch_metric_alarm" "instance_status" {
  for_each = local.workers

  alarm_name          = "${var.project}-${each.key}-status"
  alarm_description   = "${each.key} fails EC2's status checks: stop and start it, or replace it; its data disk stays."
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { InstanceId = aws_instance.worker[each.key].id }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "missing" # a stopped instance is neither well nor ill
  alarm_actions       = local.topics
}

# A machine without a worker stops itself. What it sends tells it from one whose worker waits: that one asks
# SQS every few seconds, while the processors of both rest. An alarm that stops a machine has one metric,
# and that of this machine: the queue cannot be asked beside it.
resource "aws_cloudwatch_metric_alarm" "idle" {
  for_each = var.idle_stop_minutes == 0 ? {} : local.workers

  alarm_name          = "${var.project}-${each.key}-idle"
  alarm_description   = "${each.key} has had no worker for ${var.idle_stop_minutes} minutes and is stopped; its disks stay. Nothing is to be done: the next playbook starts it."
  namespace           = "AWS/EC2"
  metric_name         = "NetworkOut"
  dimensions          = { InstanceId = aws_instance.worker[each.key].id }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = var.idle_stop_minutes / 5
  comparison_operator = "LessThanThreshold"
  threshold           = 40000          # bytes in a period; a worker that only waits sends more
  treat_missing_data  = "notBreaching" # a machine that was just started has all its time
  alarm_actions       = ["arn:${local.partition}:automate:${var.region}:ec2:stop"]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.project

  dashboard_body = jsonencode({
    widgets = concat(
      [
        for queue, dead in local.dead_letters : {
          type = "metric", x = 0, y = { index = 0, parts = 12 }[queue], width = 12, height = 6
          properties = {
            title  = "${title(queue)} queue: messages"
            region = var.region, period = 60, stat = "Maximum"
            metrics = [
              ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queues[queue], { label = "waiting" }],
              ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", local.queues[queue], { label = "in work" }],
              ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queues[dead], { label = "dead letters" }],
            ]
          }
        }
      ],
      [
        {
          type = "metric", x = 12, y = 0, width = 12, height = 6
          properties = {
            title   = "Index queue: age of the oldest message (s)"
            region  = var.region, period = 60, stat = "Maximum"
            metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.queues.index]]
          }
        },
        {
          type = "metric", x = 0, y = 6, width = 12, height = 6
          properties = {
            title  = "Rekognition: calls a minute"
            region = var.region, period = 60, stat = "Sum" # a sample is a request, throttled (1) or not (0)
            metrics = [
              for pair in setproduct(["SuccessfulRequestCount", "ThrottledCount"], ["DetectLabels", "DetectText"]) :
              ["AWS/Rekognition", pair[0], "Operation", pair[1]]
            ]
          }
        },
        {
          type = "metric", x = 12, y = 6, width = 12, height = 6
          properties = {
            title  = "Workers: processor (%) and failed status checks"
            region = var.region, period = 60, stat = "Maximum"
            metrics = concat(
              [for key, worker in aws_instance.worker : ["AWS/EC2", "CPUUtilization", "InstanceId", worker.id, { label = key }]],
              [for key, worker in aws_instance.worker : ["AWS/EC2", "StatusCheckFailed", "InstanceId", worker.id, { label = "${key} failed", yAxis = "right" }]],
            )
          }
        },
      ],
    )
  })
}
