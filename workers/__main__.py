"""`python -m workers` is `cartext`."""

import sys

from workers.cli import main

sys.exit(main())
