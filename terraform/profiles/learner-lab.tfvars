# AWS Academy Learner Lab: one region, no roles of one's own, the lab's key pair.
#   terraform apply -var-file=profiles/learner-lab.tfvars -var bucket=… -var ssh_cidr=…/32
region           = "us-east-1"
instance_profile = "LabInstanceProfile"
key_name         = "vockey"
ssh_key_file     = "~/.ssh/labsuser.pem" # AWS Details → Download PEM
instance_type    = "t3.small"
budget_dollars   = 2 # the lab's limit is 1,000 label detections; each image is at most one, and a text detection

# the lab stops its machines itself, and it is not known whether an alarm may
idle_stop_minutes = 0
