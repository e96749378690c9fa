data "aws_availability_zones" "region" {
  # checkov:skip=CKV_AWS_394:one zone is chosen once, and the subnet ignores later ones
  state = "available"

  # not the local zones that an account may have opted into
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

# Not every zone has every type: us-east-1e has no t3.
data "aws_ec2_instance_type_offerings" "zones" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [var.instance_type]
  }

  lifecycle {
    postcondition {
      condition     = length(setintersection(self.locations, data.aws_availability_zones.region.names)) > 0
      error_message = "${var.region} has no ${var.instance_type}: take another instance_type."
    }
  }
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:flow logs cost more than the pair; the only way in is ssh from one network
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = { Name = var.project }
}

# A new VPC's default group lets its members talk to each other; nothing is to lean on that.
resource "aws_default_security_group" "empty" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.project}-unused-default" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.project }
}

resource "aws_subnet" "workers" {
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, 0)
  availability_zone = sort(setintersection(data.aws_ec2_instance_type_offerings.zones.locations, data.aws_availability_zones.region.names))[0]

  tags = { Name = "${var.project}-workers" }

  lifecycle {
    # the first zone that fits may be another one tomorrow: that must not replace subnet, instances and data
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "workers" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.project}-workers" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.workers.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "workers" {
  subnet_id      = aws_subnet.workers.id
  route_table_id = aws_route_table.workers.id
}

# Costs nothing, and keeps the images' bytes off the internet gateway.
resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${var.region}.s3"
  route_table_ids = [aws_route_table.workers.id]

  tags = { Name = "${var.project}-s3" }
}

resource "aws_security_group" "workers" {
  name        = "${var.project}-workers"
  description = "ssh from one network in, https out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.project}-workers" }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id = aws_security_group.workers.id
  description       = "ssh from the operator"
  cidr_ipv4         = var.ssh_cidr
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22

  tags = { Name = "${var.project}-ssh" }
}

# Name service, time and instance metadata come from the VPC itself and need no rule.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.workers.id
  description       = "AWS services and system packages"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = { Name = "${var.project}-https" }
}
