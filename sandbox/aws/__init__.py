"""The embedded AWS: moto on loopback, with its gaps closed."""
