"""`python -m ser_lightning`: the same as `ser`."""

from ser_lightning.cli import run

run()
