"""The parts of a run's listing: who lists them, who works on which, when one is done."""
