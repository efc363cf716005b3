"""Errors that a user can mend: each message names the thing, the place and the remedy."""

import errno
from collections.abc import Sequence

LISTED = 20
"""Reasons that an error names one by one; of more, it tells the number."""


class UserError(Exception):
    """Shown as one message without a traceback; the process ends with `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """The command line or a YAML file is wrong; nothing has been started."""

    exit_code = 2


class StoppedError(UserError):
    """The work was asked to stop; it goes on where it was when it is started again.

    Args:
        reason: who asked: a signal's name, or words.
        exit_code: of the process; 128 + the signal's number where it was a signal.
    """

    progressed = True
    """Whether this process got anything done that its next start need not do again."""
    requeues = True
    """Whether this process is the one that asks the scheduler to start its job again."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(f"stopped by {reason}; start the same command again to go on after the last whole epoch")
        self.reason, self.exit_code = reason, exit_code


def listed(lines: Sequence[str]) -> list[str]:
    """The first LISTED of `lines`, and a line with the number of the others."""
    more = [f"... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [*lines[:LISTED], *more]


AGAIN = "then start the same command again"
REMEDIES = {
    errno.ENOSPC: f"the disk is full: make room or choose another folder, {AGAIN}",
    errno.EDQUOT: f"your quota there is used up: make room or choose another folder, {AGAIN}",
    errno.EROFS: f"it cannot be written, its file system is mounted read-only: choose another folder, {AGAIN}",
    errno.EACCES: f"you may not open it: have its owner allow it (chmod, chown) or choose another, {AGAIN}",
    errno.EPERM: f"the system does not permit that there: choose another folder, {AGAIN}",
    errno.ENOENT: f"there is no such file or folder, or it is a link to one that is gone: put it back, {AGAIN}",
    errno.EEXIST: f"a file, or a link to nothing, stands where a folder has to be made: move it away, {AGAIN}",
    errno.ENOTDIR: f"a part of this path is a file where a folder has to be: move it away or choose another, {AGAIN}",
    errno.EISDIR: f"a folder stands where a file has to be: move it away, {AGAIN}",
    errno.ELOOP: f"links lead in a circle: mend them, {AGAIN}",
    errno.ENAMETOOLONG: f"the name is longer than its file system takes: choose a shorter one, {AGAIN}",
    errno.ESTALE: "its file server no longer knows it (it was removed or mounted anew elsewhere): look whether it is "
    f"there, {AGAIN}",
    errno.EFBIG: f"it would be larger than a file may be here: raise `ulimit -f` or choose another folder, {AGAIN}",
    errno.EIO: f"its disk or file server fails: look into that, {AGAIN}",
    errno.ENOTEMPTY: f"something was put into a folder that is being removed: look what, {AGAIN}",
    errno.EXDEV: f"it lies on another file system than what is to replace it: choose folders on one, {AGAIN}",
    errno.ENOLCK: f"its file system keeps no locks: choose a folder on one that does, {AGAIN}",
    errno.EMFILE: f"this process has too many files open: raise `ulimit -n`, {AGAIN}",
    errno.ENFILE: f"this machine has too many files open: end what else runs, {AGAIN}",
    errno.ENOMEM: f"there is no memory left: end what else runs, {AGAIN}",
    errno.EAGAIN: f"this machine takes no more processes or threads of yours: end some (`ulimit -u`), {AGAIN}",
}
"""What each of the system's errors means for who started a command, and what to do."""


def in_words(error: OSError | UnicodeError) -> str:
    """What the system refused, where, and what to do, in a line."""
    if isinstance(error, UnicodeEncodeError):
        line = error.object[error.object.rfind("\n", 0, error.start) + 1 :].partition("\n")[0]
        return f"`{line}`: a name that is no UTF-8 text: rename it, {AGAIN}"
    if isinstance(error, UnicodeError):
        return f"a file is no UTF-8 text ({error}): write it as such, {AGAIN}"
    names = [f"`{_shown(name)}`" for name in (error.filename, error.filename2) if name is not None]
    told = error.strerror or str(error) or type(error).__name__
    remedy = REMEDIES.get(error.errno or 0, f"look into that, {AGAIN}")
    return f"{' and '.join(names) + ': ' if names else ''}{' '.join(told.split())}; {remedy}"


def _shown(name: object) -> str:
    return name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)
