"""`python -m ser_lightning`: the same as `ser`."""

import sys

from ser_lightning.cli import main

sys.exit(main())
