"""What a run trains: whatever fits on a train part, chooses on a validation part, and predicts logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from ser_lightning.data.datamodule import SERData
from ser_lightning.data.splits import Part
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.training.history import EpochRow

Facts = Mapping[str, Any]
"""What a learner says of itself for result.json: plain numbers, strings and containers."""


@dataclass(frozen=True)
class Fit:
    """What a fit came to, beside the files that it left."""

    facts: Facts
    history: Sequence[EpochRow] = ()
    """The epochs, as metrics.csv has them; none where a learner knows none."""


class Learner(Protocol):
    """Built from (config, shapes by stream, classes); registered in the table of learners by name.

    One that cannot be fitted on every split has a static `check_split(config, proof)`, too: it raises UserError, and is
    asked before features are computed.
    """

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams it reads; features of others are not computed."""

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""

    def described(self, device: torch.device) -> str:
        """For people: how many parameters, and which of several ways computes them on `device`.

        Raises:
            UserError: the configuration names a way that can't be had there.
        """

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        """Fit on `train`, choose on `validation`, save to `folder`, end up as what was chosen.

        Called again on the folder of a fit that was interrupted it goes on; of one that was done it loads.

        Raises:
            StoppedError: `stop` was asked.
            UserError: training is impossible with these data or settings.
        """

    def load(self, folder: Path, state: str = "best") -> None:
        """Become what `fit` chose, or one of the `others`. Raises UserError: nothing is there."""

    def others(self, folder: Path) -> list[str]:
        """States that `fit` kept beside what it chose: `last_epoch`, `epoch_000`; none for what has no epochs."""

    def predict(self, data: SERData, part: Part) -> NDArray[np.float64]:
        """Logits (N, K) of a part's rows in their order."""
