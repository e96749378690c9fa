# One role for each kind of worker with exactly the calls that it makes. None of this is made when
# instance_profile names an existing profile.

data "aws_iam_policy_document" "ec2_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

locals {
  # a bucket of the same name in somebody else's account is not ours
  bucket_owner = var.expected_bucket_owner == null ? {} : { "aws:ResourceAccount" = var.expected_bucket_owner }
}

# Both workers list below the prefix: A the images, both to see whether they may read at all and to tell
# "gone" from "forbidden". Without s3:ListBucket, S3 answers 403 for a missing key as well.
data "aws_iam_policy_document" "images" {
  statement {
    sid       = "ListImages"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]

    dynamic "condition" {
      for_each = merge(
        var.prefix == "" ? {} : { "s3:prefix" = "${var.prefix}*" },
        local.bucket_owner,
      )

      content {
        test     = "StringLike"
        variable = condition.key
        values   = [condition.value]
      }
    }
  }

  statement {
    sid       = "ReadImages"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${var.prefix}*"]

    dynamic "condition" {
      for_each = local.bucket_owner

      content {
        test     = "StringLike"
        variable = condition.key
        values   = [condition.value]
      }
    }
  }

  # S3 asks for it in the worker's name; of itself the worker may decrypt nothing
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "DecryptImages"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

data "aws_iam_policy_document" "worker" {
  for_each = local.roles

  source_policy_documents = concat(
    [data.aws_iam_policy_document.images.json],
    var.ssh_address == "session" ? [data.aws_iam_policy_document.session.json] : [],
  )

  statement {
    sid       = "Recognise"
    actions   = [{ label = "rekognition:DetectLabels", text = "rekognition:DetectText" }[each.key]]
    resources = ["*"] # these two calls know no resource: AWS accepts nothing else here
  }

  statement {
    sid       = "IndexQueue"
    resources = [aws_sqs_queue.this["index"].arn]

    # a batch call is judged by the permission of its single form
    actions = {
      label = ["sqs:GetQueueAttributes", "sqs:SendMessage"]
      text  = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    }[each.key]
  }

  # label workers put the parts there, and take them from there
  dynamic "statement" {
    for_each = each.key == "label" && local.has_ledger ? [aws_sqs_queue.this["parts"].arn] : []

    content {
      sid       = "PartsQueue"
      resources = [statement.value]

      actions = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
      ]
    }
  }

  # how a run ended
  dynamic "statement" {
    for_each = local.topics

    content {
      sid       = "Tell"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }

  # Transactions and batches of statements are judged by what is in them. Both kinds say there that they are alive.
  dynamic "statement" {
    for_each = aws_dynamodb_table.ledger

    content {
      sid       = "Ledger"
      resources = [statement.value.arn]

      actions = [
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PartiQLInsert",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
      ]
    }
  }
}

# What the agent of Session Manager needs, and no more.
data "aws_iam_policy_document" "session" {
  # checkov:skip=CKV_AWS_111:these calls know no resource
  # checkov:skip=CKV_AWS_356:these calls know no resource
  statement {
    sid       = "SessionManager"
    resources = ["*"]

    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
  }
}

resource "aws_iam_role" "worker" {
  for_each = local.makes_roles ? local.roles : toset([])

  # IAM is global: with the region in the name, the same project can stand in two
  name               = "${var.project}-${each.key}-${var.region}"
  description        = "${var.project}: the ${each.key} worker"
  assume_role_policy = data.aws_iam_policy_document.ec2_assumes.json

  permissions_boundary = var.permissions_boundary_arn

  tags = { Role = each.key }
}

resource "aws_iam_role_policy" "worker" {
  for_each = aws_iam_role.worker

  name   = "worker"
  role   = each.value.name
  policy = data.aws_iam_policy_document.worker[each.key].json
}

resource "aws_iam_instance_profile" "worker" {
  for_each = aws_iam_role.worker

  name = each.value.name
  role = each.value.name

  tags = { Role = each.key }
}
