"""What stands beside the honest figure: the last epoch's, and on request the best test epoch's as papers count it.

The last epoch uses no test row, and validation rows only where early stopping by them ended the training. The best test
epoch chooses on the test part itself; it is there to show what that is worth, and is labelled wherever it appears.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ser_lightning.data.datamodule import SERData
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import early
from ser_lightning.files import replacing
from ser_lightning.runs.folder import RunFolder
from ser_lightning.training.history import merit
from ser_lightning.training.learner import Learner


def score_beside(
    run: RunFolder, learner: Learner, data: SERData, chosen: Predictions, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Predict the test part with the other states that the learner kept.

    Writes predictions_last_epoch.csv, and test_epochs.npz (`logits` (E, N, K), `epochs` (E,)) where every epoch was
    kept. Returns what result.json says of them.

    Args:
        chosen: the test rows, in their order.
        result: of the training.
    """
    others = learner.others(run.checkpoints)
    found: dict[str, Any] = {}
    if "last_epoch" in others:
        rows = replace(chosen, logits=_logits(run, learner, data, "last_epoch"))
        rows.write(run.last_epoch)
        note = early([result])
        found["last_epoch"] = rows.scores().as_dict() | ({"note": note} if note else {})
    if names := [name for name in others if name.startswith("epoch_")]:
        epochs = np.array([int(name.removeprefix("epoch_")) for name in names])
        logits = np.stack([_logits(run, learner, data, name) for name in names])
        with replacing(run.test_epochs) as temporary:
            np.savez_compressed(temporary, logits=logits.astype(np.float32), epochs=epochs)
        found["selected_on_test"] = selected_on_test(chosen, logits, epochs)
    if others:
        learner.load(run.checkpoints)
    return found


def selected_on_test(rows: Predictions, logits: NDArray[Any], epochs: NDArray[np.int64]) -> dict[str, Any]:
    """The best test WA and the best test UAR of any epoch, each from its own epoch, as the DS-LSTM paper counted.

    Of epochs that are equally good it names the one of lower cross-entropy on these rows.

    Args:
        rows: the test rows.
        logits: (E, N, K) of every epoch.
        epochs: their numbers (E,).
    """
    scores = [replace(rows, logits=epoch).scores() for epoch in logits]
    losses = -log_softmax(logits, axis=2)[:, np.arange(len(rows.ids)), rows.targets].mean(1)
    found: dict[str, Any] = {}
    for name in ("wa", "uar"):
        values = [float(getattr(score, name)) for score in scores]
        best = max(range(len(values)), key=lambda i: merit(values[i], float(losses[i])))
        found |= {name: max(values), f"{name}_epoch": int(epochs[best])}
    return found


def forget_epochs(run: RunFolder) -> None:
    """Remove every epoch's weights, which are large and have told what they were kept for."""
    for file in run.checkpoints.glob("epoch_*.ckpt"):
        file.unlink()


def _logits(run: RunFolder, learner: Learner, data: SERData, state: str) -> NDArray[np.float64]:
    learner.load(run.checkpoints, state)
    return learner.predict(data, "test")
