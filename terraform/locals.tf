locals {
  roles = toset(["label", "text"])

  # One entry an instance; the key is its name everywhere. Fewer workers take away the last ones only.
  workers = merge(
    { for i in range(var.label_workers) : "label-${i + 1}" => { role = "label", shard = i } },
    { for i in range(var.text_workers) : "text-${i + 1}" => { role = "text", shard = null } },
  )

  # several workers of a kind need one ledger between them
  is_fleet = var.label_workers > 1 || var.text_workers > 1

  makes_roles = var.instance_profile == null

  address = { for key, instance in aws_instance.worker : key => var.ssh_address == "public" ? instance.public_ip : instance.private_ip }

  # HostKeyAlias: addresses come back with another machine behind them, instance ids never do
  ssh_commands = {
    for key, instance in aws_instance.worker : key => join(" ", compact([
      "ssh",
      var.ssh_key_file == "" ? "" : "-i ${var.ssh_key_file}",
      "-o HostKeyAlias=${instance.id}",
      "${var.login_user}@${local.address[key]}",
    ]))
  }
}
