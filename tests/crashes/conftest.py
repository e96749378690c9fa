"""Nothing here reaches a network or a person's settings either."""

from tests.unit.conftest import alone, silence

__all__ = ["alone", "silence"]
