"""Speed and cost of the workers, side by side with the sequential way."""
