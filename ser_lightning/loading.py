"""Loading the modules of a command, at the start of a process that was begun for it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def only_modules_made() -> Iterator[None]:
    """Don't look for garbage inside, nor later among what was made inside: modules stay until the process ends.

    While torch and lightning are imported the collector goes through a million objects again and again, which is a
    fifth of the time, and every full collection in a training would do so again. Where torch is there already, as in
    a notebook, objects of others are, too, and nothing is changed.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def torchmetrics_alone() -> None:
    """Import torchmetrics without scipy.signal, which lightning's import would bring: a tenth of a training's start.

    torchmetrics wants it only to give an old name back to it, for a package that is not used here; whoever imports
    scipy.signal later gets the real one.
    """
    name = "scipy.signal"
    if name in sys.modules or "torchmetrics" in sys.modules:
        return
    stand_in = ModuleType(name)
    stand_in.hamming = None  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        import torchmetrics  # noqa: F401
    finally:
        del sys.modules[name]
