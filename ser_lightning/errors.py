"""Errors that a user can mend: each message names the thing, the place and the remedy."""


class UserError(Exception):
    """Shown as one message without a traceback; the process ends with `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """The command line or a YAML file is wrong; nothing has been started."""

    exit_code = 2
