"""Loading the modules of a command, at the start of a process that was begun for it."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
