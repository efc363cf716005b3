"""Without the superuser's rights, for whom no file is closed."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
VERSION_3 = 0x20080522


@contextmanager
def ordinary() -> Iterator[None]:
    """This thread obeys the permissions of files, root's, too (capset(2)); skips where that can't be had."""
    if os.geteuid():
        yield
        return
    if not sys.platform.startswith("linux"):
        pytest.skip("root obeys no permissions here")
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the low words, then the high ones
    libc.capget(header, sets)
    before = sets[0]
    sets[0] = before & ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    if libc.capset(header, sets):
        pytest.skip("this process can't lay down its rights")
    try:
        yield
    finally:
        sets[0] = before
        libc.capset(header, sets)
