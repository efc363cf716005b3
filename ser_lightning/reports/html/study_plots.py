"""Optuna's own plots of a study, as inline SVG."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import optuna
from markupsafe import Markup
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from optuna.visualization import matplotlib as plots

from ser_lightning.reports.html.study_svg import svg

MOST = 500
"""Trials that are drawn: of ten thousand the page would have many MB, and their points be one blot."""
LEAST = 2
"""Complete trials below which there is nothing to draw."""
AXES = (2, 3)
"""Numbers of objectives whose Pareto front can be drawn."""


@dataclass(frozen=True)
class Drawn:
    """One plot with what it shows in words."""

    caption: str
    svg: Markup


@dataclass(frozen=True)
class Plots:
    """`slices` has one for each parameter and objective; everything is empty with fewer than two complete trials."""

    history: Sequence[Drawn] = ()
    front: Sequence[Drawn] = ()
    importances: Sequence[Drawn] = ()
    parallel: Sequence[Drawn] = ()
    slices: Sequence[Drawn] = ()
    left_out: int = 0
    """Complete trials that are not drawn, because there are too many."""


Target = Callable[[FrozenTrial], float]
Draw = Callable[[], object]


class Plotter:
    """Draws one study.

    Args:
        study: any; it isn't changed.
        objectives: a name for each of its values.
        leaders: numbers of trials that are drawn however many there are.
        weighed: whether importances can be told.
        prefix: put before every id, which must be unique in the page.
    """

    def __init__(
        self, study: Study, objectives: Sequence[str], leaders: Sequence[int], weighed: bool, prefix: str
    ) -> None:
        self.study, self.left_out = _thinned(study, leaders)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names(list(objectives))
        self.objectives, self.weighed, self.prefix = objectives, weighed, prefix
        self.number = 0
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self.names = list(dict.fromkeys(name for trial in complete for name in trial.params))
        self.enough = len(complete) >= LEAST

    def plots(self) -> Plots:
        if not self.enough:
            return Plots()
        return Plots(
            [self._history(name, target) for name, target in self._targets()],
            [self._front()] if len(self.objectives) in AXES else [],
            list(self._importances()) if self.weighed else [],
            [self._parallel()] if len(self.names) > 1 else [],
            [self._slice(name, key, target) for name, target in self._targets() for key in self.names],
            self.left_out,
        )

    def _targets(self) -> list[tuple[str, Target | None]]:
        """Of one objective no target, which would hide from Optuna whether it is to be high or low."""
        if len(self.objectives) == 1:
            return [(self.objectives[0], None)]
        return [(name, _value(i)) for i, name in enumerate(self.objectives)]

    def _drawn(self, caption: str, draw: Draw) -> Drawn:
        self.number += 1
        return Drawn(caption, svg(draw, caption, f"{self.prefix}-{self.number}-"))

    def _history(self, name: str, target: Target | None) -> Drawn:
        draw = partial(plots.plot_optimization_history, self.study, target=target, target_name=name)
        return self._drawn(f"{name} of each trial", draw)

    def _front(self) -> Drawn:
        return self._drawn("Pareto front", partial(plots.plot_pareto_front, self.study))

    def _importances(self) -> Iterator[Drawn]:
        """PED-ANOVA asks what makes a target low, so that of objectives that should be high the sign is turned."""
        for i, (name, target) in enumerate(self._targets()):
            high = self.study.directions[i] == StudyDirection.MAXIMIZE
            wanted = _value(i, -1) if target and high else target
            draw = partial(plots.plot_param_importances, self.study, target=wanted, target_name=name)
            yield self._drawn(f"what matters for {name}", draw)

    def _parallel(self) -> Drawn:
        draw = partial(plots.plot_parallel_coordinate, self.study, target_name=self.objectives[0])
        return self._drawn("a line for each trial, through its values", draw)

    def _slice(self, name: str, key: str, target: Target | None) -> Drawn:
        draw = partial(plots.plot_slice, self.study, params=[key], target=target, target_name=name)
        return self._drawn(f"{name} by {key}", draw)


def _value(i: int, sign: int = 1) -> Target:
    return lambda trial: sign * trial.values[i]


def _thinned(study: Study, leaders: Sequence[int]) -> tuple[Study, int]:
    """The study in memory with the same numbers, of too many complete trials an even choice; how many are left out."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial.number for trial in trials if trial.state == TrialState.COMPLETE]
    shown = {*complete[:: -(-len(complete) // MOST) or 1], *leaders}
    made = optuna.create_study(directions=study.directions)
    nothing = create_trial(state=TrialState.FAIL)
    made.add_trials([trial if trial.number in shown else nothing for trial in trials])
    return made, len(set(complete) - shown)
