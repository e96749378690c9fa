"""AWS at the edge: clients, the one policy by which every call is made, the quota."""
