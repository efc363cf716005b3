"""Speech emotion recognition experiments on PyTorch Lightning.

In Python: `compose` a configuration, `train` it, `evaluate` its run, `load_run` a finished one. They are imported on
first use, so that the command line can refuse a typo before torch is loaded.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_lightning.config.compose import compose
    from ser_lightning.evaluation.predictions import Predictions
    from ser_lightning.runs.evaluate import evaluate
    from ser_lightning.runs.load import load_run
    from ser_lightning.runs.train import train
    from ser_lightning.training.history import read_history

__all__ = ["Predictions", "compose", "evaluate", "load_run", "read_history", "train"]
__version__ = "0.1.0"

# Read once, when torch loads OpenMP. Waiting threads of libgomp spin long by default: two trainings of two threads on
# two cores then took 5 to 128 s an epoch where one takes 1.6 s; with this, 3.5 s, and one alone 1.9 s.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

PLACES = {
    "Predictions": "ser_lightning.evaluation.predictions",
    "compose": "ser_lightning.config.compose",
    "evaluate": "ser_lightning.runs.evaluate",
    "load_run": "ser_lightning.runs.load",
    "read_history": "ser_lightning.training.history",
    "train": "ser_lightning.runs.train",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
