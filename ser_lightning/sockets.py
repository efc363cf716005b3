"""Sockets between this machine's processes, which lie in a temporary folder and whose paths may have 107 bytes."""

import os
import tempfile
from multiprocessing.util import get_temp_dir

from ser_lightning.errors import UserError

LONGEST = 107
"""Bytes of a socket's path on Linux, without the zero that ends it."""
OWN = len("/pymp-12345678/listener-12345678")
"""What multiprocessing puts below the temporary folder."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")
"""Folders that machines have, in the order of preference."""


def make_room() -> None:
    """Choose where the sockets of this process and its children lie, before the first is made.

    TMPDIR stays what it is for everything else.

    Raises:
        UserError: TMPDIR is too long, and no other folder can be written.
    """
    given = tempfile.gettempdir()
    if fits(given):
        return
    other = next((folder for folder in SHORT if os.access(folder, os.W_OK | os.X_OK)), None)
    if other is None:
        raise UserError(
            f"TMPDIR={given}: with {len(os.fsencode(given))} bytes it is too long for sockets between processes, and "
            f"none of {', '.join(SHORT)} can be written; set TMPDIR to a folder of at most {LONGEST - OWN} bytes"
        )
    try:
        tempfile.tempdir = other
        get_temp_dir()  # multiprocessing keeps what this says, and tells its children
    finally:
        tempfile.tempdir = given


def fits(folder: str) -> bool:
    """Whether a socket's path below the folder is short enough."""
    return len(os.fsencode(folder)) + OWN <= LONGEST
