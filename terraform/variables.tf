# What must be said: the bucket, where ssh comes from, and one key.

variable "bucket" {
  description = "Existing S3 bucket with the images; it is read, never created, changed or destroyed."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is the bare name (3 to 63 lower-case letters, digits, dots, hyphens), without s3:// and without a path; set prefix for a folder."
  }
}

variable "ssh_cidr" {
  description = "The one network that may open ssh to the instances, e.g. your own address with /32. Left out where Session Manager is the way (ssh_address)."
  type        = string
  default     = null

  validation {
    condition     = (var.ssh_cidr == null) == (var.ssh_address == "session")
    error_message = "Say where ssh comes from: ssh_cidr is your own address (https://checkip.amazonaws.com shows it) with /32 behind it. With ssh_address = \"session\" no port is opened: leave ssh_cidr out."
  }

  validation {
    condition     = var.ssh_cidr == null || can(cidrnetmask(var.ssh_cidr))
    error_message = "ssh_cidr is an IPv4 network, MY-ADDRESS/32: https://checkip.amazonaws.com shows the address that you come from."
  }

  validation {
    condition     = try(tonumber(split("/", var.ssh_cidr)[1]) >= 16, true)
    error_message = "ssh_cidr is wider than /16 and would open ssh to strangers: give your own address with /32, or your office's network."
  }
}

variable "key_name" {
  description = "Name of a key pair that the account has already. Either this or public_key."
  type        = string
  default     = null

  validation {
    condition     = (var.key_name == null) != (var.public_key == null)
    error_message = "Give exactly one key: key_name (a key pair that the account has) or public_key (the text of your .pub file, which is registered)."
  }
}

variable "public_key" {
  description = "OpenSSH public key to register, the content of your .pub file. Either this or key_name."
  type        = string
  default     = null

  validation {
    condition     = var.public_key == null || can(regex("^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/]+=*( .*)?\\s*$", var.public_key))
    error_message = "public_key is one line beginning with ssh-ed25519 or ssh-rsa (EC2 takes no other kind): the content of the .pub file, never of the private key."
  }
}

# What is often set.

variable "project" {
  description = "Name of this deployment: begins every name and is the tag by which Ansible finds the instances."
  type        = string
  default     = "cartext"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}$", var.project)) && !endswith(var.project, "-")
    error_message = "project is 2 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen."
  }
}

variable "region" {
  description = "AWS region of everything; it must be the bucket's."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is a region's code such as us-east-1, not its name and not an availability zone such as us-east-1a."
  }

  validation {
    condition     = contains(local.rekognition_regions, var.region)
    error_message = "${var.region} has no Rekognition that finds labels and text, and it reads only buckets of its own region: copy the images into a bucket in one of ${join(", ", local.rekognition_regions)}, and set region to that."
  }
}

variable "prefix" {
  description = "Only keys that begin with this are read, e.g. photos/2024/. Empty: the whole bucket."
  type        = string
  default     = ""

  validation {
    condition     = !startswith(var.prefix, "/") && !can(regex("[*?]", var.prefix)) && length(var.prefix) <= 1000
    error_message = "prefix is the beginning of the keys as S3 has them: no slash in front, no * or ?."
  }
}

variable "quota" {
  description = "The account's Rekognition quota in calls a second, for DetectLabels and for DetectText alike; the console's Service Quotas page shows it. Null: AWS's default in the region, 50 or 5."
  type        = number
  default     = null

  validation {
    condition     = coalesce(var.quota, 1) > 0 && coalesce(var.quota, 1) <= 10000
    error_message = "quota is a number of calls a second, above 0: the smaller of the two that Service Quotas shows for DetectLabels and DetectText."
  }
}

variable "label_workers" {
  description = "How many instances look for the label (worker A); they share the bucket's keys among them."
  type        = number
  default     = 1

  validation {
    condition     = var.label_workers >= 1 && var.label_workers <= 50 && floor(var.label_workers) == var.label_workers
    error_message = "label_workers is a whole number from 1 to 50."
  }
}

variable "text_workers" {
  description = "How many instances read text (worker B); they share the queue."
  type        = number
  default     = 1

  validation {
    condition     = var.text_workers >= 1 && var.text_workers <= 50 && floor(var.text_workers) == var.text_workers
    error_message = "text_workers is a whole number from 1 to 50."
  }
}

variable "budget_dollars" {
  description = "A run that may cost more than this at Rekognition does not start."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.budget_dollars >= 0
    error_message = "budget_dollars is a number of US dollars, 0 or more."
  }
}

variable "kms_key_arn" {
  description = "Key that the images are encrypted with, where that is one of your own (SSE-KMS). Null: S3's own encryption, or none."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is a key's ARN in ${var.region}, such as arn:aws:kms:${var.region}:123456789012:key/1234abcd-…; an alias does not do in a policy."
  }
}

variable "instance_type" {
  description = "EC2 type of every worker. They wait far more than they compute; Arm types (t4g.small) are cheaper."
  type        = string
  default     = "t3.small"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type is an EC2 type such as t3.small or t4g.small."
  }
}

variable "text_instance_type" {
  description = "EC2 type of the text workers, through which the images go: what it moves for long is what counts (docs/aws.md). Null: instance_type."
  type        = string
  default     = null

  validation {
    condition     = var.text_instance_type == null || can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.text_instance_type))
    error_message = "text_instance_type is an EC2 type such as c7g.large; leave it out for that of all workers."
  }
}

variable "instance_profile" {
  description = "Existing instance profile for all workers, where the account may not create roles (LabInstanceProfile in a learner lab). Null: a role for each kind with exactly its permissions is made."
  type        = string
  default     = null

  validation {
    condition     = var.instance_profile == null || can(regex("^[A-Za-z0-9+=,.@_-]{1,128}$", var.instance_profile))
    error_message = "instance_profile is the profile's name, not its ARN; leave it out to have roles made."
  }

  validation {
    condition     = var.instance_profile != "LabInstanceProfile" || var.label_workers + var.text_workers <= 9
    error_message = "${var.label_workers} + ${var.text_workers} workers: a learner lab terminates instances over nine, and deletes the account at twenty. Set label_workers and text_workers to nine at most, fewer if others run in the account."
  }
}

variable "alarm_email" {
  description = "Address that hears of alarms, and of a run that is finished, stopped or over its budget; AWS asks it for a confirmation first. Null: nobody is mailed, and no worker may."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email is one mail address; leave it out for none."
  }
}

variable "idle_stop_minutes" {
  description = "A machine that has had no worker at work for so long is stopped, and costs its disks only; the playbooks start it again. 0: never."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = contains(concat([0], range(15, 1441, 5)), var.idle_stop_minutes)
    error_message = "idle_stop_minutes is a multiple of 5 from 15 to 1440 (an alarm looks back a day at most), or 0 for never."
  }
}

# What a governed account asks for.

variable "subnet_id" {
  description = "Somebody else's subnet for the workers, with a way of its own to S3, SQS, Rekognition (and DynamoDB, SNS, Session Manager) on port 443. Then no network is made and no instance has a public address. Null: a small network is made."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null || can(regex("^subnet-[0-9a-f]+$", var.subnet_id))
    error_message = "subnet_id is a subnet's id such as subnet-0123456789abcdef0."
  }

  validation {
    condition     = var.subnet_id == null || var.ssh_address != "public"
    error_message = "With subnet_id no instance has a public address: set ssh_address to session (Session Manager) or private (VPN, peering)."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds every role that is made."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is a policy's ARN, such as arn:aws:iam::123456789012:policy/boundary."
  }
}

variable "extra_tags" {
  description = "Tags that everything must carry, such as a cost centre. Changed later, they do not reach the system disks that are there."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setintersection(keys(var.extra_tags), ["Project", "ManagedBy", "Name", "Role"])) == 0
    error_message = "extra_tags may not have Project, ManagedBy, Name or Role: these are set already, and Ansible finds the instances by them."
  }
}

variable "expected_bucket_owner" {
  description = "Account that the bucket must belong to; the roles may read it in no other."
  type        = string
  default     = null

  validation {
    condition     = var.expected_bucket_owner == null || can(regex("^[0-9]{12}$", var.expected_bucket_owner))
    error_message = "expected_bucket_owner is an account's number of 12 digits."
  }
}

# What is seldom set.

variable "availability_zone" {
  description = "Zone of the network that is made, when the first one is full. A change later makes subnet, machines and data disks anew (a snapshot of each disk stays). Null: the first that has the types."
  type        = string
  default     = null

  validation {
    condition     = var.availability_zone == null || startswith(coalesce(var.availability_zone, "none"), var.region)
    error_message = "availability_zone is a zone of ${var.region}, such as ${var.region}a."
  }

  validation {
    condition     = var.availability_zone == null || var.subnet_id == null
    error_message = "subnet_id says the zone already: leave availability_zone out."
  }
}

variable "shared_ledger" {
  description = "One DynamoDB table as the ledger of all workers. Null: a fleet has it, a pair has not. Set it to true before a fleet becomes a pair: the table, and what has been paid for, stay."
  type        = bool
  default     = null

  validation {
    condition     = coalesce(var.shared_ledger, true) || !local.is_fleet
    error_message = "Several workers of a kind need one ledger between them: leave shared_ledger out, or have one worker of each kind."
  }
}

variable "ledger_protection" {
  description = "AWS refuses to delete the shared ledger. Apply once with false before destroying a fleet."
  type        = bool
  default     = true
  nullable    = false
}

variable "vpc_cidr" {
  description = "Private network of the VPC that is made; the workers' subnet is its first sixteenth."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    error_message = "vpc_cidr is an IPv4 network by its first address, such as 10.20.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 22, true)
    error_message = "vpc_cidr is from /16 (AWS allows no wider one) to /22 (a smaller one has no room for the workers)."
  }
}

variable "root_volume_size_gib" {
  description = "System disk of every worker, in GiB: the system, Python and the journal."
  type        = number
  default     = 10

  validation {
    condition     = var.root_volume_size_gib >= 8 && var.root_volume_size_gib <= 1024 && floor(var.root_volume_size_gib) == var.root_volume_size_gib
    error_message = "root_volume_size_gib is a whole number from 8 (the system image's own size) to 1024."
  }
}

variable "data_volume_size_gib" {
  description = "Data disk of every worker, in GiB: the ledger and the output, under 1 GiB for a million images."
  type        = number
  default     = 10

  validation {
    condition     = var.data_volume_size_gib >= 1 && var.data_volume_size_gib <= 16384 && floor(var.data_volume_size_gib) == var.data_volume_size_gib
    error_message = "data_volume_size_gib is a whole number from 1 to 16384."
  }
}

variable "final_snapshots" {
  description = "Keep a snapshot of each data disk when it is destroyed. Apply once after changing it: what counts is the value at the last apply."
  type        = bool
  default     = true
}

variable "retry_seconds" {
  description = "How long a worker tries one call again before it gives it up (CARTEXT_RETRY_SECONDS)."
  type        = number
  default     = 60

  validation {
    condition     = var.retry_seconds > 0 && var.retry_seconds <= 3600
    error_message = "retry_seconds is above 0 and at most 3600."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a received message stays hidden from other workers; renewed while its image is worked on."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout_seconds <= 43200 && floor(var.visibility_timeout_seconds) == var.visibility_timeout_seconds
    error_message = "visibility_timeout_seconds is a whole number of at most 43200 (SQS allows no more)."
  }

  # a try is one download and one call, each tried again for retry_seconds
  validation {
    condition     = var.visibility_timeout_seconds >= 2 * var.retry_seconds
    error_message = "visibility_timeout_seconds must be at least twice retry_seconds: else a message whose image is still being worked on would be given to another worker, and paid for twice."
  }
}

variable "login_user" {
  description = "User for ssh; ec2-user is Amazon Linux's."
  type        = string
  default     = "ec2-user"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,31}$", var.login_user))
    error_message = "login_user is a Linux user name."
  }
}

variable "ssh_key_file" {
  description = "Path of the private key on your machine, for the ssh commands in the outputs; only the path is stored. Empty: ssh's own default or agent."
  type        = string
  default     = ""
}

variable "ssh_address" {
  description = "What you reach the instances by: public address; private, when you come over a VPN or peering; session, by Session Manager, for which no port is open (it takes the AWS CLI and its session-manager-plugin on your machine)."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "private", "session"], var.ssh_address)
    error_message = "ssh_address is public, private or session."
  }
}
