"""Errors that a user can mend: each message names the thing, the place and the remedy."""


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
