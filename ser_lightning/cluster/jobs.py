"""Which jobs a verb becomes; its words are checked as the verb itself would, before anything is submitted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ser_lightning.cluster.script import Script, array, options, resources
from ser_lightning.cluster.settings import Slurm
from ser_lightning.config.compose import bind, compose
from ser_lightning.config.schema import Config, Training
from ser_lightning.config.settings import taken
from ser_lightning.errors import ConfigError, UserError

ARRAY_LOG = "%x-%A_%a.out"


@dataclass(frozen=True)
class Jobs:
    """Scripts in their order: each but the first begins when the one before has ended, however it did."""

    scripts: Sequence[Script]
    training: Training
    """What they train with: all alike."""
    next: Sequence[str]
    """Commands for afterwards."""


def train(words: Sequence[str], conf: str | None, slurm: Slurm) -> Jobs:
    """One job; where a training has several ranks, its tasks are the ranks.

    Raises:
        ConfigError: the configuration is wrong.
    """
    training = compose(words, conf).config.training
    body = "ddp" if training.ranks > 1 else "train"
    given = options(slurm, "ser-train") | resources(slurm, training, training.devices)
    script = Script(body, _with_conf(words, conf), given, slurm)
    return Jobs([script], training, ["ser runs list", "ser logs RUN"])


def crossval(words: Sequence[str], conf: str | None, slurm: Slurm) -> Jobs:
    """An array with a task a fold, and a job that pools what they leave.

    Raises:
        ConfigError: the configuration or a setting is wrong, or folds are picked.
        UserError: the corpus or the split can't be used.
    """
    from ser_lightning.crossval.settings import Settings

    settings, rest = taken(Settings, words)
    if settings.only is not None or settings.gather:
        raise ConfigError("ser submit crossval: every fold is submitted, then gathered; leave `only` and `gather` out")
    config = _on_one_node(compose(rest, conf).config, "a fold")
    from ser_lightning.crossval.plan import plan  # torch, which a typo need not wait for
    from ser_lightning.runs.prepare import prepare

    numbers = [task.fold for task in plan(prepare(config), settings).tasks]
    given = _with_conf(words, conf)
    folds = options(slurm, "ser-crossval", ARRAY_LOG) | resources(slurm, config.training)
    scripts = [
        Script("crossval", given, folds | array(min(numbers), max(numbers), slurm.at_once), slurm),
        Script("crossval", given, options(slurm, "ser-crossval"), slurm),
    ]
    return Jobs(scripts, config.training, [f"ls {settings.crossval_dir}", "ser report NAME"])


def sweep(words: Sequence[str], conf: str | None, slurm: Slurm) -> Jobs:
    """An array of workers on one study.

    Raises:
        ConfigError: the sweep file, its space or a word is wrong.
    """
    from ser_lightning.sweeps.sweep_file import read_sweep
    from ser_lightning.sweeps.verbs import Begin

    settings, rest = taken(Begin, words)
    if not rest or "=" in rest[0]:
        raise ConfigError("ser submit sweep: name a sweep file, such as sweeps/quick.yaml, before the overrides")
    frozen = read_sweep(rest[0], rest[1:], conf)
    training = _on_one_node(bind(frozen.base, "the study's base"), "a trial").training
    given = options(slurm, "ser-sweep", ARRAY_LOG) | resources(slurm, training)
    script = Script("sweep", _with_conf(words, conf), given | array(1, slurm.workers, slurm.at_once), slurm)
    name, place = frozen.study.name, Begin().studies_dir
    elsewhere = f" studies_dir={settings.studies_dir}" if settings.studies_dir != place else ""
    return Jobs([script], training, [f"ser study {name}{elsewhere}", f"ser finalize {name}{elsewhere}"])


KINDS: Mapping[str, Callable[[Sequence[str], str | None, Slurm], Jobs]] = {
    "train": train,
    "crossval": crossval,
    "sweep": sweep,
}
"""Verbs that are submitted."""


def _with_conf(words: Sequence[str], conf: str | None) -> list[str]:
    return [*words, *(["--conf", conf] if conf else [])]


def _on_one_node(config: Config, what: str) -> Config:
    """Raises UserError: one of the jobs would have to be several nodes."""
    if config.training.num_nodes > 1:
        raise UserError(
            f"training.num_nodes={config.training.num_nodes}: {what} is trained on one node, with training.devices "
            "ranks; only `ser submit train` takes several nodes"
        )
    return config
