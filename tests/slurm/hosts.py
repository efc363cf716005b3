"""Names of nodes that resolve: a line of our own in /etc/hosts, taken out again."""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path

HOSTS = Path("/etc/hosts")


def add(names: list[str], owner: Path) -> None:
    """Let `names`, and this machine's where it doesn't yet, resolve to 127.0.0.1; a second call changes nothing."""
    own = socket.gethostname()
    wanted = names if _loopback(own) else [*names, own]
    line = f"127.0.0.1 {' '.join(wanted)} {_mark(owner)}"
    _edit(lambda lines: lines if line in lines else [line, *lines])


def remove(owner: Path) -> None:
    """Take out the line that `add` put in for this owner, and no other."""
    _edit(lambda lines: [line for line in lines if not line.endswith(_mark(owner))])


def _mark(owner: Path) -> str:
    if not owner.is_absolute():
        raise ValueError(f"the owner of a line in {HOSTS} is an absolute path, not {owner}")
    return f"# test cluster {owner}"


def _loopback(name: str) -> bool:
    try:
        return socket.gethostbyname(name).startswith("127.")
    except OSError:
        return False


def _edit(change: Callable[[list[str]], list[str]]) -> None:
    # In place: in a container the file is often mounted by itself and can't be replaced by a rename.
    with HOSTS.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = file.read().splitlines()
        after = change(before)
        if after != before:
            file.seek(0)
            file.write("".join(line + "\n" for line in after))
            file.truncate()
