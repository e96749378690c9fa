# The workers' subnet: in a small network of their own, or somebody else's (subnet_id), in which nothing
# but the security group is made.

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
  for_each = toset(values(local.instance_types))

  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [each.key]
  }

  lifecycle {
    postcondition {
      condition     = length(setintersection(self.locations, data.aws_availability_zones.region.names)) > 0
      error_message = "${var.region} has no ${each.key}: take another type."
    }
  }
}

locals {
  makes_network = var.subnet_id == null

  # zones that have all types
  zones = sort(setintersection(
    data.aws_availability_zones.region.names,
    [for zones in data.aws_ec2_instance_type_offerings.zones : zones.locations]...
  ))

  subnet = try(aws_subnet.workers[0], data.aws_subnet.given[0])
}

data "aws_subnet" "given" {
  count = local.makes_network ? 0 : 1

  id = var.subnet_id

  lifecycle {
    postcondition {
      condition     = contains(local.zones, self.availability_zone)
      error_message = "${var.subnet_id} lies in ${self.availability_zone}, which has not all of ${join(", ", values(local.instance_types))}: take a subnet in ${join(", ", local.zones)}, or other types."
    }
  }
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:flow logs cost more than the pair; the only way in is ssh from one network
  count = local.makes_network ? 1 : 0

  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = { Name = var.project }
}

# A new VPC's default group lets its members talk to each other; nothing is to lean on that.
resource "aws_default_security_group" "empty" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.project}-unused-default" }
}

resource "aws_internet_gateway" "this" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.project }
}

# The zone that was asked for: another one is worth a new subnet, with new machines and disks.
resource "terraform_data" "zone" {
  input = var.availability_zone
}

resource "aws_subnet" "workers" {
  count = local.makes_network ? 1 : 0

  vpc_id            = aws_vpc.this[0].id
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, 0)
  availability_zone = coalesce(var.availability_zone, local.zones...)

  tags = { Name = "${var.project}-workers" }

  lifecycle {
    # the first zone that fits may be another one tomorrow: that must not replace subnet, instances and data
    ignore_changes       = [availability_zone]
    replace_triggered_by = [terraform_data.zone]

    precondition {
      condition     = length(local.zones) > 0
      error_message = "${var.region} has no zone with both ${join(" and ", values(local.instance_types))}: take other types."
    }

    precondition {
      condition     = var.availability_zone == null || contains(local.zones, coalesce(var.availability_zone, "none"))
      error_message = "availability_zone has not ${join(" and ", distinct(values(local.instance_types)))}: take one of ${join(", ", local.zones)}."
    }
  }
}

resource "aws_route_table" "workers" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.project}-workers" }
}

resource "aws_route" "internet" {
  count = local.makes_network ? 1 : 0

  route_table_id         = aws_route_table.workers[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "workers" {
  count = local.makes_network ? 1 : 0

  subnet_id      = aws_subnet.workers[0].id
  route_table_id = aws_route_table.workers[0].id
}

# Gateway endpoints cost nothing, and keep images and ledger off the internet gateway. Nothing else goes
# through them.
locals {
  endpoints = {
    s3 = [
      {
        Sid      = "Images"
        Action   = ["s3:GetObject", "s3:ListBucket"]
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
      },
      {
        Sid      = "SystemPackages" # Amazon Linux keeps its repositories in a bucket of each region
        Action   = ["s3:GetObject"]
        Resource = ["arn:${local.partition}:s3:::al2023-repos-${var.region}-de612dc2/*"]
      },
    ]
    dynamodb = [
      {
        Sid    = "Ledger"
        Action = ["dynamodb:*"]
        # by its name: the endpoint stays for as long as the table does
        Resource = [for account in aws_vpc.this[*].owner_id : "arn:${local.partition}:dynamodb:${var.region}:${account}:table/${var.project}-ledger"]
      },
    ]
  }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = { for service, rules in local.endpoints : service => rules if local.makes_network && (service == "s3" || local.has_ledger) }

  vpc_id          = aws_vpc.this[0].id
  service_name    = "com.amazonaws.${var.region}.${each.key}"
  route_table_ids = [aws_route_table.workers[0].id]

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for rule in each.value : merge(rule, { Effect = "Allow", Principal = "*" })]
  })

  tags = { Name = "${var.project}-${each.key}" }
}

# a route table takes one endpoint of a service: a new one beside the old would be refused
moved {
  from = aws_vpc_endpoint.s3
  to   = aws_vpc_endpoint.gateway["s3"]
}

resource "aws_security_group" "workers" {
  name        = "${var.project}-workers"
  description = "ssh from one network in, https out"
  vpc_id      = local.subnet.vpc_id

  tags = { Name = "${var.project}-workers" }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  count = var.ssh_cidr == null ? 0 : 1

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
