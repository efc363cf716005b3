"""What every trial would meet on this machine: the device, the corpus, the split; checked before a study is made."""

from ser_lightning.config.compose import bind
from ser_lightning.corpora.report import say_warnings
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import ConfigError
from ser_lightning.runs.prepare import prepare
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.training.device import find_device


def check_base(frozen: Frozen) -> None:
    """Prove the base's split, or each of its folds where trials are cross-validations.

    Raises:
        ConfigError: study.crossval.folds is more than the split has.
        UserError: the accelerator is not there, or the corpus or the split can't be used.
    """
    config = bind(frozen.base, "the study's base")
    find_device(config.training)
    prepared, inner = prepare(config), frozen.study.crossval
    say_warnings(prepared.corpus)
    if inner is None:
        prepared.split()
        return
    count = len(plan(prepared, Settings()).tasks)
    if inner.folds is not None and inner.folds > count:
        raise ConfigError(f"study.crossval.folds={inner.folds}: the split has {count}; null takes all")
