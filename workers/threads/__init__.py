"""How a worker's threads work, wait and stop."""
