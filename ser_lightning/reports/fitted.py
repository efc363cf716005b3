"""Which parts a system's models were fitted on: a network's on train, a classical learner's on validation too."""

from collections.abc import Mapping

from ser_lightning.reports.system import System
from ser_lightning.runs.folder import RunFolder


def fitted_on(run: RunFolder) -> list[str]:
    """Parts that what predicts test rows was fitted on; train of results that don't say, as all once were."""
    return list(run.read_result().get("fitted_on", ["train"]))


def on_validation(system: System) -> bool:
    """Whether any model behind it was fitted on its validation part."""
    return any("validation" in fitted_on(run) for runs in system.runs.values() for run in runs)


def fitted_caveats(systems: Mapping[str, System]) -> list[str]:
    """A sentence about the systems, by letter, that learn from more utterances than others; none where none does."""
    more = [letter for letter, system in systems.items() if on_validation(system)]
    others = [letter for letter in systems if letter not in more]
    if not more:
        return []
    verb = "were" if more[1:] else "was"
    beside = f", {', '.join(others)} on the train part alone" if others else ""
    return [f"{', '.join(more)} {verb} also fitted on the validation part{beside}"]
