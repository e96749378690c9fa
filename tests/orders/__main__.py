"""`python -m tests.orders`."""

import sys

from tests.orders.every import main

if __name__ == "__main__":
    sys.exit(main())
