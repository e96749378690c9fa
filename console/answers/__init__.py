"""`cartext answers`: what is paid for, counted and carried."""
