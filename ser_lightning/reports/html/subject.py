"""A system as the report shows it: with a letter, its figures, and what every figure has to be read with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from ser_lightning.config.sources import read
from ser_lightning.evaluation.summary import summarise
from ser_lightning.reports.fitted import on_validation
from ser_lightning.reports.system import System

Summary = Mapping[str, Any]
"""What `summarise` gives."""

NOTES = {
    "speaker_dependent": "speakers stand in training and test: comparable with such protocols only",
    "transductive": "features are normalised by statistics of the test speakers themselves",
}


@dataclass(frozen=True)
class Badge:
    """What figures have to be read with: they aren't of unseen speakers, not of all folds, or chosen on test."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Subject:
    """Figures are recomputed from the tables of predictions, never copied from a result."""

    key: str
    """A, B, ... in the order of the command line."""
    system: System
    config: Mapping[str, Any]
    """config.yaml as it stands, of whatever version; empty where there is none."""
    trained: Sequence[Mapping[str, Any]]
    """The same of the runs behind one fold: of the members, if it is a fusion."""
    chosen: Summary
    """Checkpoint chosen on validation, or as the learner chooses: the honest figure."""
    last: Summary | None
    """Last epoch; None for what has no epochs."""

    @property
    def name(self) -> str:
        return self.system.name

    @property
    def classes(self) -> Sequence[str]:
        return self.system.pooled.rows.classes

    @property
    def selected(self) -> Summary | None:
        """Best test epochs, where asked for: `note`, and mean and std of `uar` and `wa` over folds and seeds."""
        found: Summary | None = self.system.result.get("figures", {}).get("selected on test")
        return found

    @property
    def badges(self) -> list[Badge]:
        marks = [Badge(label, NOTES.get(label, "")) for label in self.system.labels]
        if on_validation(self.system):
            marks.append(Badge("also fitted on validation", "its models learn from the validation speakers too"))
        if self.selected:
            marks.append(Badge("also selected on test", "one of its figures chose the epoch on test rows"))
        return marks

    @property
    def facts(self) -> str:
        """What was evaluated, in words."""
        seeds = sorted({seed for _, seed in self.system.pooled.places})
        folds = len({fold for fold, _ in self.system.pooled.places})
        kind = {"run": "one run", "crossval": "cross-validation", "fusion": "late fusion"}[self.system.kind]
        count = f"{folds} fold{'s' * (folds > 1)} by {len(seeds)} seed{'s' * (len(seeds) > 1)}"
        utterances = len(set(self.system.pooled.rows.ids))
        return f"{kind}, {count}, {utterances:,} utterances of {len(self.chosen['speakers'])} test speakers"

    @property
    def decision_values(self) -> str | None:
        """The classical model whose outputs are decision values, not logits of a network; None for networks."""
        classical = [one for one in self.trained if one.get("training", {}).get("learner") == "classical"]
        return ", ".join(str(one["model"]["name"]) for one in classical) or None

    @property
    def corpus(self) -> str:
        """The corpus's name, as looks at its test speakers are recorded under it."""
        return str(next((one["corpus"]["name"] for one in self.trained), ""))


def subjects(systems: Sequence[System]) -> list[Subject]:
    return [_subject(_letter(i), system) for i, system in enumerate(systems)]


def _subject(key: str, system: System) -> Subject:
    last = system.last_epoch
    config = system.path / "config.yaml"
    runs = next((found for found in system.runs.values() if all(run.config.exists() for run in found)), ())
    return Subject(
        key,
        system,
        read(config) if config.exists() else {},
        [read(run.config) for run in runs],
        summarise(system.pooled, system.results),
        None if last is None else summarise(last, system.results, last=True),
    )


def _letter(index: int) -> str:
    """A ... Z, then A2 ... Z2."""
    turn, letter = divmod(index, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(turn + 1) if turn else "")
