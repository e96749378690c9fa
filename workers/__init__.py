"""The code that the instances run: label worker (A), text worker (B), and nothing else."""
