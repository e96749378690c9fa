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

# Both workers list: A the images, and both, by looking up one that fails, to tell "gone" from
# "forbidden". Without s3:ListBucket, S3 answers 403 for a missing key as well.
data "aws_iam_policy_document" "images" {
  for_each = local.roles

  statement {
    sid       = "ListImages"
    actions   = ["s3:ListBucket"]
    resources = [data.aws_s3_bucket.images.arn]

    dynamic "condition" {
      for_each = var.prefix == "" ? [] : [var.prefix]

      content {
        # A begins with HeadBucket, which is judged by s3:ListBucket too and names no prefix
        test     = each.key == "label" ? "StringLikeIfExists" : "StringLike"
        variable = "s3:prefix"
        values   = ["${condition.value}*"]
      }
    }
  }

  statement {
    sid       = "ReadImages"
    actions   = ["s3:GetObject"]
    resources = ["${data.aws_s3_bucket.images.arn}/${var.prefix}*"]
  }
}

data "aws_iam_policy_document" "worker" {
  for_each = local.roles

  source_policy_documents = [data.aws_iam_policy_document.images[each.key].json]

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

  dynamic "statement" {
    for_each = aws_dynamodb_table.ledger

    content {
      sid       = "Ledger"
      resources = [statement.value.arn]

      # a transaction is judged by the permissions of what is in it
      actions = {
        label = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
        text  = ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
      }[each.key]
    }
  }
}

resource "aws_iam_role" "worker" {
  for_each = local.makes_roles ? local.roles : toset([])

  # IAM is global: with the region in the name, the same project can stand in two
  name               = "${var.project}-${each.key}-${var.region}"
  description        = "${var.project}: the ${each.key} worker"
  assume_role_policy = data.aws_iam_policy_document.ec2_assumes.json

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
