"""`cartext plan`: what a run would still take."""
