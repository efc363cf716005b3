"""What `ser submit` asks of SLURM: conf/slurm/NAME.yaml and `slurm.KEY=VALUE`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config.components import hint
from ser_lightning.config.overrides import parse, value
from ser_lightning.config.places import expand
from ser_lightning.config.settings import docs
from ser_lightning.config.shapes import check_shapes, check_text
from ser_lightning.config.sources import choices, layers, search_path
from ser_lightning.errors import ConfigError

PREFIX = "slurm."


@dataclass(frozen=True)
class Slurm:
    """Where something is null, the cluster's default holds, or what site.sh exported."""

    account: str | None = None
    """Whom the time is charged to."""
    partition: str | None = None
    """Where to run; several with commas."""
    qos: str | None = None
    """Quality of service."""
    time: str | None = None
    """Limit, as sbatch writes it: 8:00:00, 1-12, 90 (minutes). A job that reaches it goes on by itself."""
    signal: int = 90
    """Seconds before the limit at which a job is warned: enough to end a step and save."""
    mem: str | None = None
    """Memory a node: 32G."""
    cpus_per_task: int = 4
    """Cores of a rank, where a training has several, else of a job's one process and all that it starts."""
    gpus: int | None = None
    """GPUs a node; null: training.devices where training.accelerator=cuda, else none."""
    gres: str = "gpu"
    """What the cluster calls its GPUs: gpu, or gpu:TYPE."""
    workers: int = 4
    """Jobs of a sweep, each a worker."""
    at_once: int | None = None
    """Folds or workers that may run at the same time; null: as many as the cluster lets."""
    name: str | None = None
    """Name of the job; null: ser-train, ser-crossval or ser-sweep."""
    logs_dir: str = "slurm_logs"
    """Folder of the jobs' output."""
    setup: list[str] = field(default_factory=list)
    """Lines of shell that a job begins with, such as [module load cuda]."""
    options: list[str] = field(default_factory=list)
    """Further options of sbatch, such as [--constraint=a100, --exclude=n7]; they win over those above."""


def slurm_settings(words: Sequence[str], conf: str | None = None) -> tuple[Slurm, list[str]]:
    """The settings among `words`, over those of the file that `slurm=NAME` names; and the words that are none.

    Raises:
        ConfigError: there is no such file, an unknown key, a wrong type, a value out of its range.
    """
    own = parse([word for word in words if word.startswith(("slurm=", PREFIX))])
    rest = [word for word in words if not word.startswith(("slurm=", PREFIX))]
    chosen = [one.text for one in own if one.key == "slurm"]
    folders = search_path(conf)
    name = chosen[-1] if chosen else "default"
    found, picks = layers("slurm", name, folders)
    if picks:
        raise ConfigError(f"{choices('slurm', folders)[name]}: `defaults` lists files of conf/slurm/, nothing else")
    tree: dict[str, Any] = {}
    hints = get_type_hints(Slurm)
    for layer in found:
        _check_keys(layer.values, layer.source)
        for key, given in layer.values.items():
            check_text(hints[key], f"{PREFIX}{key}", given, f" (from {layer.source})")
        tree |= layer.values
    given = {one.key.removeprefix(PREFIX): one.text for one in own if one.key != "slurm"}
    _check_keys(given, "command line")
    tree |= {key: value(text, hints[key]) for key, text in given.items()}
    check_shapes(Slurm, tree, lambda _: "", PREFIX)
    return _made(tree), rest


def _check_keys(values: Mapping[str, Any], source: str) -> None:
    known = docs(Slurm)
    for key in values.keys() - known.keys():
        raise ConfigError(f"unknown setting `{PREFIX}{key}` ({source}){hint(key, known)}")


def _made(tree: Mapping[str, Any]) -> Slurm:
    try:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(Slurm), dict(tree)))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or ""
        raise ConfigError(f"`{PREFIX}{key}`: {str(error).partition(chr(10))[0]}") from error
    found = Slurm(**expand(merged, PREFIX))
    least = {"signal": 1, "cpus_per_task": 1, "gpus": 0, "workers": 1, "at_once": 1}
    for key, bound in least.items():
        if (count := getattr(found, key)) is not None and count < bound:
            raise ConfigError(f"{PREFIX}{key}={count}: must be at least {bound}")
    for option in found.options:
        if not option.startswith("-"):
            raise ConfigError(f"{PREFIX}options: `{option}` is no option of sbatch; write [--constraint=a100]")
    return found
