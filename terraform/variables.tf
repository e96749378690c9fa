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
  description = "The one network that may open ssh to the instances, e.g. your own address with /32."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.ssh_cidr))
    error_message = "ssh_cidr is an IPv4 network such as 203.0.113.7/32: your own address (https://checkip.amazonaws.com shows it) with /32 behind it."
  }

  validation {
    condition     = try(tonumber(split("/", var.ssh_cidr)[1]) >= 8, true)
    error_message = "ssh_cidr is wider than /8 and would open ssh to half the internet: give your own address with /32, or your office's network."
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
  description = "The account's Rekognition quota in calls a second, for DetectLabels and for DetectText alike. AWS's default is 50 in us-east-1 and us-west-2 and 5 in most other regions; the console's Service Quotas page shows yours."
  type        = number
  default     = 50

  validation {
    condition     = var.quota > 0 && var.quota <= 10000
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

variable "instance_type" {
  description = "EC2 type of every worker. They wait far more than they compute; Arm types (t4g.small) are cheaper."
  type        = string
  default     = "t3.small"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type is an EC2 type such as t3.small or t4g.small."
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
}

variable "alarm_email" {
  description = "Address that hears of alarms; AWS asks it for a confirmation first. Null: the alarms show in the console only."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email is one mail address; leave it out for none."
  }
}

# What is seldom set.

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
  description = "Which address you reach the instances by: public, or private when you come over a VPN or peering."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "private"], var.ssh_address)
    error_message = "ssh_address is public or private."
  }
}
