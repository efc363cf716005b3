"""Which values of a run's result a search may look at."""

from ser_lightning.config.components import hint
from ser_lightning.errors import ConfigError

UNSEEN = ("test", "last_epoch", "selected_on_test", "figures")
"""What a result may say of its test part."""

VALIDATION = ("n", "uar", "wa", "macro_f1", "recall", "confusion")


def check_measure(key: str, place: str) -> None:
    """Check the dotted key of a value in a run's result, which an objective or a constraint looks at.

    Raises:
        ConfigError: it is of the test part, or no score of the validation part.
    """
    parts = key.split(".")
    if set(parts) & set(UNSEEN):
        raise ConfigError(
            f"{place}: `{key}` looks at the test part, which a search must not see; use validation.uar, and "
            "`ser finalize` scores the test part of the winner"
        )
    if not all(parts):
        raise ConfigError(f"{place}: `{key}` is no key of a result; write one such as validation.uar or parameters")
    if parts[0] == "validation" and (len(parts) < 2 or parts[1] not in VALIDATION):
        raise ConfigError(f"{place}: `{key}` is no score{hint('.'.join(parts[1:]), VALIDATION)}")
