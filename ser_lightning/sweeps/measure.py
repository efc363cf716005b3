"""Which values of a run's result a search may look at, and which of them it can follow from epoch to epoch."""

from ser_lightning.config.components import hint
from ser_lightning.config.schema import Config
from ser_lightning.errors import ConfigError

UNSEEN = ("test", "last_epoch", "selected_on_test", "figures")
"""What a result may say of its test part."""

FITS = ("train", "train_validation")
"""What a classical learner fits, by name."""

BY_EPOCH = ("validation.uar", "validation.wa", "validation.macro_f1")
"""Values that metrics.csv has of every epoch, too."""

ALWAYS = ("parameters", "seconds", "latency", "memory", "validation.n", *BY_EPOCH)
"""Numbers in every result."""

LEARNT = {
    "lightning": ("epochs", "checkpoint.epoch", "checkpoint.utterances"),
    "classical": tuple(f"{key}.{fit}" for key in ("cost", "inner_folds") for fit in FITS),
}
"""Numbers that each learner adds; what a plug-in's learner adds is not known before its first run."""


def check_unseen(key: str, place: str) -> None:
    """Raises ConfigError: the dotted key looks at what a result says of its test part."""
    if set(key.split(".")) & set(UNSEEN):
        raise ConfigError(
            f"{place}: `{key}` looks at the test part, which a search must not see; use validation.uar, and "
            "`ser finalize` scores the test part of the winner"
        )


def measures(config: Config) -> list[str]:
    """Dotted keys of the numbers in the result of a run with this configuration."""
    recalls = [f"validation.recall.{name}" for name in config.corpus["classes"]]
    return [*ALWAYS, *recalls, *LEARNT.get(config.training.learner, ())]


def check_measure(key: str, place: str, config: Config) -> None:
    """Check what an objective or a constraint looks at against the results that its trials will have.

    Raises:
        ConfigError: it is of the test part, or no number of such a result.
    """
    check_unseen(key, place)
    learner, known = config.training.learner, measures(config)
    if key in known or (learner not in LEARNT and not key.startswith("validation.")):
        return
    raise ConfigError(f"{place}: `{key}` is no number in the result of training.learner={learner}{hint(key, known)}")
