"""What a person runs beside the workers, and the one command `cartext`."""
