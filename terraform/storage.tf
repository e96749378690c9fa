# Read only: destroying this stack leaves the bucket as it was. What S3 answers is shown with the next line.
data "aws_s3_objects" "images" { # PermanentRedirect, AuthorizationHeaderMalformed: the bucket lies in another region; set `region` to its own
  bucket   = var.bucket
  prefix   = var.prefix
  max_keys = 1
}

# Ledger and output of each worker. Its own resource, so that it outlives the instance.
resource "aws_ebs_volume" "data" {
  # checkov:skip=CKV_AWS_189:the account's own EBS key does; a key of one's own costs a dollar a month and guards the same people's data
  for_each = local.workers

  # from the subnet: taken from the instance, replacing the instance would replace the data as well
  availability_zone = local.subnet.availability_zone
  type              = "gp3"
  size              = var.data_volume_size_gib
  encrypted         = true
  final_snapshot    = var.final_snapshots

  tags = {
    Name = "${var.project}-${each.key}"
    Role = each.value.role
  }
}

resource "aws_volume_attachment" "data" {
  for_each = local.workers

  device_name = "/dev/sdf"
  instance_id = aws_instance.worker[each.key].id
  volume_id   = aws_ebs_volume.data[each.key].id

  # the worker stops and the file system is unmounted before the disk goes
  stop_instance_before_detaching = true
}
