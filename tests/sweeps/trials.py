"""What tests of whole sweeps share: a sweep of tiny trainings, and workers as processes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.study import Study
from optuna.trial import FrozenTrial

from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep import sweep

from ..warm import Ser

PLUGIN = Path(__file__).with_name("plugin")
RATE = "training.learning_rate"
RATES = {"float": [1.0e-3, 3.0e-2], "log": True}


@dataclass
class Stand:
    """The folder where a user stands, and the configuration of a training that takes a second."""

    folder: Path
    words: list[str]
    started: list[Ser] = field(default_factory=list)

    def write(self, space: dict[str, Any], *words: str, **sections: Any) -> None:
        """The sweep file `s.yaml`; `sections` beside base and space."""
        tree = {"base": [*self.words, *words], "space": space} | sections
        (self.folder / "s.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def sweep(self, space: dict[str, Any], *words: str, **sections: Any) -> Study:
        """Write a sweep, work on it in this process until it has ended, and open its study."""
        self.write(space, *words, **sections)
        sweep(["s.yaml"])
        return self.study()

    def study(self) -> Study:
        return open_study(self.study_folder)

    @property
    def study_folder(self) -> StudyFolder:
        return StudyFolder(self.folder / "studies" / "s")

    def process(self, verb: str, *words: str) -> Ser:
        """A worker of its own."""
        environment = os.environ | {"PYTHONPATH": str(PLUGIN)}
        self.started.append(Ser([verb, *words], self.folder / f"worker{len(self.started)}.log", environment))
        return self.started[-1]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def run_of(trial: FrozenTrial) -> RunFolder:
    return RunFolder(Path(trial.user_attrs["run"]))


@pytest.fixture
def stand(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(PLUGIN)
    stand = Stand(tmp_path, tiny)
    yield stand
    for process in stand.started:
        process.kill()
        process.wait()
