"""Which parameters of a study matter."""

from dataclasses import dataclass, field

from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

LEAST = 5
"""Complete trials below which nothing is said."""
STEADY = 50
"""Complete trials from which the best tenth, which is compared with all, has the five trials its authors ask for."""


@dataclass(frozen=True)
class Importances:
    """Shares of each parameter, the greatest first; they sum to 1. `note` says what they have to be read with."""

    shares: dict[str, float] = field(default_factory=dict)
    note: str = ""


def importances(study: Study) -> Importances:
    """Optuna's default measure, PED-ANOVA (https://arxiv.org/abs/2304.10255), of complete trials.

    It is empty, with the reason, where there are too few trials or nothing to compare. Of several objectives it says
    what matters for reaching the Pareto front.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = {name for trial in trials for name in trial.params}
    if len(trials) < LEAST:
        return Importances(note=f"importances need at least {LEAST} complete trials; there are {len(trials)}")
    if len(names) < 2:
        return Importances(note="one parameter only, so there is nothing to weigh it against")
    try:
        shares = get_param_importances(study)
    except (ValueError, RuntimeError) as error:  # no two different values, or a range that was changed underway
        return Importances(note=f"importances cannot be told: {error}")
    few = f"from {len(trials)} complete trials: rough below {STEADY}" if len(trials) < STEADY else ""
    return Importances(shares, few)
