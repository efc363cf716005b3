"""The README's commands for a cluster, on one."""

import os
import re
import shlex
from pathlib import Path

import pytest

from ser_lightning.cli import main

from .cluster import Cluster

pytestmark = pytest.mark.xdist_group("second cluster")
ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## On a cluster")[2].partition("\n## ")[0]
LINES = [line.partition("  #")[0].strip() for line in SECTION.splitlines() if line.startswith("ser ")]


def test_the_section_from_doctor_to_logs(
    cluster: Cluster,
    few_speakers: Path,
    speech_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [line.split()[1] for line in LINES] == ["doctor", "submit", "submit", "submit", "logs", "sync"]
    for name in [name for name in os.environ if name not in cluster.env]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", str(cluster.settings))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ser_cache").symlink_to(speech_cache)
    doctor, *submits, logs, sync = [shlex.split(line.replace("PATH", str(few_speakers)))[1:] for line in LINES]
    assert main(doctor) == 0
    capsys.readouterr()
    monkeypatch.setattr("ser_lightning.cluster.doctor.refuse", lambda *_: None)  # it was asked a moment ago
    for words in submits:
        assert main([*words, "slurm.options=[--hold]"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --signal=USR1@90" in said
    jobs = re.findall(r"^\d+$", said, re.MULTILINE)
    assert [len(cluster.jobs(job)) for job in jobs] == [1, 1, 1]  # an array that is held is one record
    cluster.cancel(*jobs)
    assert (
        main(["train", *doctor[2:], "training.max_epochs=1", "training.limit_train_batches=1", "tracking.mode=off"])
        == 0
    )
    (run,) = (path.parent.name for path in Path("runs").glob("*/result.json"))
    assert main([run if word == "RUN" else word for word in logs]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(sync) == 0
    assert "nothing was logged offline here" in capsys.readouterr().err
