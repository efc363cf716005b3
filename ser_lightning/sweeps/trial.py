"""From a claimed trial to the runs it consists of, and the job that trains them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.scan import scan_corpus
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import UserError
from ser_lightning.processes.slots import Job
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import Prepared, make_learner
from ser_lightning.sweeps.child import train_all
from ser_lightning.sweeps.claims import Claimed
from ser_lightning.sweeps.frozen import Frozen

PARAMETERS = "parameters"
"""The constraint that is known before a training begins."""


@dataclass(frozen=True)
class Begun:
    """A trial's values, its runs (one, or one a fold) and the job that trains them one after the other."""

    claimed: Claimed
    values: dict[str, Any]
    runs: Sequence[RunFolder]
    job: Job


class OverBudgetError(UserError):
    """A constraint is violated before anything is trained."""


class Preparation:
    """Makes trials of claims; corpora are scanned once."""

    def __init__(self, frozen: Frozen) -> None:
        self.frozen = frozen
        base = bind(frozen.base, "the study's base")
        self.training = base.training
        self._corpora: dict[str, Corpus] = {}
        self._corpus(base)  # before a trial is claimed, whose heartbeat a long scan would let go stale

    def begin(self, claimed: Claimed) -> Begun:
        """Suggest the trial's values and compose its runs.

        Raises:
            OverBudgetError: its model has more parameters than allowed.
            UserError: the values do not go together, or the corpus or split can't be used.
        """
        values = self.frozen.searched.suggest(claimed.trial)
        config = self.frozen.config(values, claimed.number)
        prepared = Prepared(config, self._corpus(config))
        self._check_budget(claimed, prepared)
        parts = self._folds(prepared)
        runs = [RunFolder(part.run_path) for part in parts]
        trees = [asdict(part.config) for part in parts]
        source = f"study {self.frozen.study.name}, trial {claimed.number}"
        log = runs[0].trial_log(claimed.number)
        return Begun(claimed, values, runs, Job(f"trial {claimed.number}", train_all, (trees, source), log))

    def _corpus(self, config: Config) -> Corpus:
        key = json.dumps(config.corpus, sort_keys=True)
        if key not in self._corpora:
            self._corpora[key] = scan_corpus(config)
        return self._corpora[key]

    def _check_budget(self, claimed: Claimed, prepared: Prepared) -> None:
        most = self.frozen.constraints.get(PARAMETERS)
        if most is None:
            return
        try:
            count = make_learner(prepared).parameters
        except UserError:
            raise
        except Exception as error:  # a model's own words for values that do not suit it: this trial's end alone
            raise UserError(f"the model cannot be made: {type(error).__name__}: {error}") from error
        if PARAMETERS not in claimed.trial.constraints:  # by the worker that had it before
            claimed.trial.set_constraint(PARAMETERS, count - most)
        if count > most:
            raise OverBudgetError(f"{count:,} parameters, more than {most:,.0f}")

    def _folds(self, prepared: Prepared) -> list[Prepared]:
        """The run itself; of a cross-validation the first folds' runs."""
        inner = self.frozen.study.crossval
        if inner is None:
            return [prepared]
        tasks = plan(prepared, Settings()).tasks
        return [task.prepared for task in tasks[: inner.folds]]
