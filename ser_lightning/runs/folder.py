"""A run is a folder: its files, and what says that it is finished."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.config.identity import identity
from ser_lightning.config.overrides import parse
from ser_lightning.config.places import expanded
from ser_lightning.config.schema import Config
from ser_lightning.config.sources import read
from ser_lightning.config.yaml_text import dump
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import PARTS, Assignment
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import read_csv, read_json, write_csv, write_json, write_text

PACKAGES = (
    "ser-lightning",
    "torch",
    "torchaudio",
    "lightning",
    "torchmetrics",
    "wandb",
    "numpy",
    "soundfile",
)


class RunFolder:
    """`runs_dir/<id>`; `result.json` is written last, so its presence means that the run is finished."""

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.config, self.environment = path / "config.yaml", path / "environment.json"
        self.split, self.proof = path / "split.csv", path / "split_proof.json"
        self.metrics, self.predictions = path / "metrics.csv", path / "predictions.csv"
        self.last_epoch, self.test_epochs = path / "predictions_last_epoch.csv", path / "test_epochs.npz"
        self.checkpoints, self.attempt = path / "checkpoints", path / "attempt"
        self.curves, self.log = path / "learning_curves.png", path / "run.log"
        self.process_log, self.result = path / "logs" / "process.log", path / "result.json"

    def trial_log(self, number: int) -> Path:
        """Of the process that trained it as trial `number`: trials with the same values share the run, and no log."""
        return self.path / "logs" / f"trial{number}.log"

    def confusion(self, part: str) -> Path:
        return self.path / f"confusion_{part}.png"

    @property
    def finished(self) -> bool:
        return self.result.exists()

    @property
    def advanced(self) -> bool:
        """Whether an epoch has ended since the run was last begun, which writes its configuration anew."""
        return self.metrics.exists() and self.metrics.stat().st_mtime > self.config.stat().st_mtime

    @property
    def threads(self) -> int | None:
        """How many the run was last begun with; None for a new one."""
        found = self.read_environment()
        return int(found["threads"]) if found else None

    def read_result(self) -> dict[str, Any]:
        return read_json(self.result)

    def read_config(self, words: Sequence[str] = ()) -> Config:
        return bind(read(self.config), str(self.config), words)

    def begin(self, config: Config) -> dict[str, Any]:
        """Write what the run starts from; a folder that is new gets the next attempt number. Returns its environment.

        The numbers are counted beside the folders, where removing a run leaves the count.
        """
        for left in self.path.glob(".*.tmp*"):  # by a writer that was killed; the run's lock says that none is at work
            left.unlink()
        counter = self.path.parent / ".attempts" / self.id
        if not self.attempt.exists():
            count = 1 + (int(counter.read_text(encoding="utf-8")) if counter.exists() else 0)
            write_text(counter, f"{count}\n")
            write_text(self.attempt, f"{self.id}-{count}\n")
        write_text(self.config, dump(asdict(config)))
        found = environment()
        write_json(self.environment, found)
        return found

    def read_environment(self) -> dict[str, Any]:
        """What it was last begun in; empty where it was not."""
        return read_json(self.environment) if self.environment.exists() else {}

    def read_proof(self) -> dict[str, Any]:
        """Of its split, as `Proof.as_dict` has it; empty where there is none yet."""
        return read_json(self.proof) if self.proof.exists() else {}

    @property
    def attempt_id(self) -> str:
        """The run's id with its attempt number: what W&B knows it by."""
        return self.attempt.read_text(encoding="utf-8").strip()

    def write_split(self, utterances: Sequence[Utterance], parts: Assignment, proof: Proof) -> None:
        rows = ((u.id, u.speaker, u.session, u.label, u.digest, parts[u.id]) for u in utterances)
        write_csv(self.split, ("id", "speaker", "session", "label", "digest", "part"), rows)
        write_json(self.proof, proof.as_dict())

    def read_split(self) -> Assignment:
        """Raises UserError: a part that is none."""
        parts: Assignment = {}
        for row in read_csv(self.split):
            if row["part"] not in PARTS:
                raise UserError(f"{self.split}: `{row['id']}` has the unknown part `{row['part']}`")
            parts[row["id"]] = row["part"]  # type: ignore[assignment]
        return parts

    @property
    def lock(self) -> Path:
        return self.path / ".lock"


def open_run(name: str, words: Sequence[str] = ()) -> tuple[RunFolder, Config]:
    """A run by its folder or its id under `runs_dir`, and its configuration with overrides `words`.

    Only what doesn't change the run's numbers can be overridden: paths, accelerator, tracking.

    Raises:
        UserError: there is no such run, or an override would make it another one.
    """
    runs_dir = runs_dir_of(words)
    run = _find(name, runs_dir)
    own, config = run.read_config(), run.read_config(words)
    if identity(config) != identity(own):
        raise ConfigError(f"{' '.join(words)}: would make another run of {run.id}; train that one instead")
    return run, config


def runs_dir_of(words: Sequence[str]) -> str:
    """The folder of the runs that the command line names."""
    given = [override.text for override in parse(words) if override.key == "runs_dir"]
    return expanded("runs_dir", given[-1]) if given else "runs"


def _find(name: str, runs_dir: str) -> RunFolder:
    for path in (Path(runs_dir) / name, Path(name)):
        if (path / "config.yaml").is_file():
            return RunFolder(Path(os.path.abspath(path)))  # noqa: PTH100  not resolve(): a linked run is of where its link is
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path} is a link to {path.readlink()}, which is gone; `rm` it, or put that back")
    known = sorted(p.parent.name for p in Path(runs_dir).glob("*/config.yaml"))
    raise UserError(f"no run `{name}` under {runs_dir}/; there {'are ' + ', '.join(known) if known else 'is none yet'}")


def environment() -> dict[str, Any]:
    """What the numbers may depend on beside the configuration."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "command": sys.argv,
    }
