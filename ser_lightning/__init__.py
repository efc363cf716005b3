"""Speech emotion recognition experiments on PyTorch Lightning."""

import os

__version__ = "0.1.0"

# Read once, when torch loads OpenMP. Waiting threads of libgomp spin long by default: two trainings of two threads on
# two cores then took 5 to 128 s an epoch where one takes 1.6 s; with this, 3.5 s, and one alone 1.9 s.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
