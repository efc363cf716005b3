"""What a trial's process does: apart from the rest, because a child that imports Optuna starts half a second later."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.processes.lock import TakenError
from ser_lightning.runs.train import train


def train_all(trees: Sequence[dict[str, Any]], source: str) -> None:
    """Train without a look at test parts; what another trial with the same values is training is waited for."""
    for tree in trees:
        config, said = bind(tree, source), ""
        while True:
            try:
                train(config)
                break
            except TakenError as error:
                if str(error) != said:
                    print(said := str(error), file=sys.stderr, flush=True)
                time.sleep(1)
