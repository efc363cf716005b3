"""What tests of whole sweeps share: a sweep of tiny trainings, and workers as processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
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

PLUGIN = Path(__file__).with_name("plugin")
RATE = "training.learning_rate"
RATES = {"float": [1.0e-3, 3.0e-2], "log": True}


@dataclass
class Stand:
    """The folder where a user stands, and the configuration of a training that takes a second."""

    folder: Path
    words: list[str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

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

    def process(self, verb: str, *words: str) -> "subprocess.Popen[str]":
        """A worker of its own; what it says goes to a file, so that it never waits for a reader."""
        environment = os.environ | {"PYTHONPATH": str(PLUGIN), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"worker{len(self.started)}.log").open("w") as said:
            command = [sys.executable, "-m", "ser_lightning", verb, *words]
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=said, stderr=said, text=True, start_new_session=True
            )
        self.started.append(process)
        return process

    def said(self, process: "subprocess.Popen[str]") -> str:
        """What a worker has written so far."""
        return (self.folder / f"worker{self.started.index(process)}.log").read_text(encoding="utf-8")


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
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
