"""`cartext status`: how far a run is."""
