# Credentials and, for the sandbox, the endpoint come from the environment, as for every AWS client.
provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.extra_tags, {
      Project   = var.project
      ManagedBy = "terraform"
    })
  }
}
