"""What people came for: the rows of a run, and the files that have them."""
