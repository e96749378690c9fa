"""`python -m tests.crashes`."""

import sys

from tests.crashes.every import main

if __name__ == "__main__":
    sys.exit(main())
