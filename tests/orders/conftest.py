"""What the workers log is not of interest here."""

from tests.unit.conftest import silence

__all__ = ["silence"]
