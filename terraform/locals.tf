locals {
  roles = toset(["label", "text"])

  # One entry an instance; the key is its name everywhere. Fewer workers take away the last ones only.
  workers = merge(
    { for i in range(var.label_workers) : "label-${i + 1}" => { role = "label" } },
    { for i in range(var.text_workers) : "text-${i + 1}" => { role = "text" } },
  )

  instance_types = {
    label = var.instance_type
    text  = coalesce(var.text_instance_type, var.instance_type)
  }

  # several workers of a kind need one ledger between them
  is_fleet   = var.label_workers > 1 || var.text_workers > 1
  has_ledger = coalesce(var.shared_ledger, local.is_fleet)

  makes_roles = var.instance_profile == null

  partition  = data.aws_partition.current.partition
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"

  address = {
    for key, instance in aws_instance.worker : key => {
      public  = instance.public_ip
      private = instance.private_ip
      session = instance.id
    }[var.ssh_address]
  }

  # what ssh goes through when no port is open
  ssh_proxy = var.ssh_address != "session" ? "" : join(" ", [
    "aws ssm start-session --region ${var.region} --target %h",
    "--document-name AWS-StartSSHSession --parameters portNumber=%p",
  ])

  # HostKeyAlias: addresses come back with another machine behind them, instance ids never do
  ssh_commands = {
    for key, instance in aws_instance.worker : key => join(" ", compact([
      "ssh",
      var.ssh_key_file == "" ? "" : "-i ${var.ssh_key_file}",
      local.ssh_proxy == "" ? "" : "-o ProxyCommand='${local.ssh_proxy}'",
      "-o HostKeyAlias=${instance.id}",
      "${var.login_user}@${local.address[key]}",
    ]))
  }

  # Regions whose endpoint the AWS SDK knows, but ca-central-1, where it looks at faces only; a test compares.
  rekognition_regions = [
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-5",
    "ap-southeast-7", "eu-central-1", "eu-south-2", "eu-west-1", "eu-west-2", "il-central-1",
    "sa-east-1", "us-east-1", "us-east-2", "us-gov-west-1", "us-west-1", "us-west-2",
  ]

  # AWS's defaults: https://docs.aws.amazon.com/general/latest/gr/rekognition.html#limits_rekognition
  quota = coalesce(var.quota, contains(["eu-west-1", "us-east-1", "us-west-2"], var.region) ? 50 : 5)
}

data "aws_partition" "current" {}
