"""A worker without training, as a process of its own: `python claimer.py STUDY_FOLDER hang|work`.

`work` begins when its standard input says so, so that several begin together.
"""

import os
import sys
import time
from pathlib import Path

from optuna.trial import TrialState

from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.study import StudyFolder, open_study


def main(path: str, what: str) -> None:
    folder = StudyFolder(Path(path))
    claims = Claims(open_study(folder), folder, Frozen.read(folder.frozen).study)
    if what == "hang":  # takes one trial, says which, and is killed by the test
        claimed = claims.claim()
        assert claimed is not None
        claimed.trial.suggest_float("training.learning_rate", 1e-4, 1e-2, log=True)
        claims.started(claimed.number, folder.path / "runs" / str(claimed.number))
        print(claimed.number, flush=True)
        time.sleep(60)
    print("ready", flush=True)
    sys.stdin.readline()
    while claimed := claims.claim():
        rate = claimed.trial.suggest_float("training.learning_rate", 1e-4, 1e-2, log=True)
        time.sleep(0.02)
        told = claims.finish(claimed, TrialState.COMPLETE, [rate])
        print(claimed.number, os.getpid(), claimed.adopted, told, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
