"""Real hosts for the emulated EC2: a systemd guest boots at the address each instance was given.

Linux as root, with systemd-container and debootstrap. The playbooks, the units and the workers in
the guests are the ones for AWS; what is built here is only what a data centre would bring: the
machine image, the network, the disks and the metadata service.
"""
