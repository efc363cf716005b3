"""What fits a run: its learner and the batches of its split, in the process that has the run and in each rank."""

import torch

from ser_lightning.data.datamodule import SERData
from ser_lightning.runs.prepare import Prepared, check_split, make_learner


class Fitting:
    """The proven split and the untrained learner of a configuration; `load` gives it batches.

    Raises:
        LeakError: parts of the split share what they must not.
        UserError: the learner can't be made, or not fitted on this split.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.parts, self.proof = prepared.split()
        self.learner = make_learner(prepared)
        check_split(prepared, self.proof)

    data: SERData
    """Batches of the training and the validation part, once they are loaded."""

    def load(self, device: torch.device) -> None:
        """Compute the features that the store lacks, and make batches of all of them on `device`."""
        self.data = self.prepared.data(self.parts, ("train", "validation"), self.learner.streams, device)
